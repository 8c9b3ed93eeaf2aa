// A gateway: sends commands with a learner's token, and hears the answers on a reply topic of its own.

import { randomUUID } from 'node:crypto';
import { Partitioners } from 'kafkajs';
import { readFromNow, within } from './kafka.js';

const COMMANDS = 'progress.commands';
const PATIENCE_SECONDS = 30;

export class Gateway {
  #name;
  #replies;
  #producer;
  #stopReading;
  #waiting = new Map(); // correlation id as hex -> what takes the answer

  /** A gateway of this name: its reply topic is progress.replies.<name>, made once by the operator. */
  static async open(kafka, name) {
    const gateway = new Gateway();
    gateway.#name = name;
    gateway.#replies = `progress.replies.${name}`;
    // The partitioner of Kafka's own client: whoever uses it sends a learner's commands to the same partition.
    gateway.#producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await gateway.#producer.connect();
    try {
      gateway.#stopReading = await readFromNow(kafka, gateway.#replies, name, (reply) => gateway.#hear(reply));
    } catch (failure) {
      await gateway.#producer.disconnect(); // otherwise it would keep the program from ending
      throw failure;
    }
    return gateway;
  }

  async close() {
    await Promise.all([this.#stopReading(), this.#producer.disconnect()]);
  }

  /**
   * Says that a learner finished a lesson. Who it was comes from the token alone; the user's id as the key keeps the
   * learner's commands in order. Answers the reply: its type, its data and its headers. Without an answer it is safe to
   * send the same command again: it is recorded once.
   */
  async complete(userId, value, { token, correlationId = Buffer.from(randomUUID()), id = randomUUID() }) {
    const headers = {
      ce_specversion: '1.0',
      ce_id: id,
      ce_type: 'lesson.complete.v1',
      ce_source: `/gateways/${this.#name}`,
      ce_time: new Date().toISOString(),
      'content-type': 'application/json',
      'reply-to': this.#replies,
      'correlation-id': correlationId,
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
    const sent = { topic: COMMANDS, acks: -1, messages: [{ key: userId, value, headers }] };
    const [answer] = await Promise.all([this.#answerTo(correlationId), this.#producer.send(sent)]);
    return answer;
  }

  #answerTo(correlationId) {
    const asked = correlationId.toString('hex');
    return within(PATIENCE_SECONDS, 'an answer', (resolve) => this.#waiting.set(asked, resolve)).finally(() =>
      this.#waiting.delete(asked),
    );
  }

  #hear({ headers, value }) {
    const answer = this.#waiting.get(headers['correlation-id'].toString('hex'));
    answer?.({ type: headers.ce_type.toString(), data: JSON.parse(value.toString()), headers });
  }
}
