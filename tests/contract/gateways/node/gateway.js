// A gateway: sends commands with a learner's token, and hears the answers on a reply topic of its own.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Kafka, Partitioners, logLevel } from 'kafkajs';

const COMMANDS = 'progress.commands';
const PROGRESSED = 'enrollment.progressed';

/** The connection's settings from the environment: nothing but BROKER is needed for a broker without protection. */
export function connectionFrom(environment) {
  const protocol = environment.KAFKA_SECURITY_PROTOCOL ?? 'PLAINTEXT';
  const ca = environment.KAFKA_CA_FILE && [readFileSync(environment.KAFKA_CA_FILE, 'utf8')];
  return {
    clientId: `gateway-${environment.GATEWAY}`,
    brokers: environment.BROKER.split(','),
    logLevel: logLevel.ERROR,
    ssl: protocol.endsWith('SSL') ? { ca: ca || undefined } : undefined,
    sasl: protocol.startsWith('SASL')
      ? {
          mechanism: (environment.KAFKA_SASL_MECHANISM ?? 'SCRAM-SHA-512').toLowerCase(),
          username: environment.KAFKA_USERNAME,
          password: environment.KAFKA_PASSWORD,
        }
      : undefined,
  };
}

export class Gateway {
  #name;
  #replies;
  #admin;
  #producer;
  #consumer;
  #waiting = new Map(); // correlation id as hex -> what takes the answer
  #progressed = new Map(); // enrollment id -> its latest state
  #watchers = new Set();

  /** @param name the gateway's: its reply topic is progress.replies.<name>, made once by the operator. */
  constructor(name, connection) {
    const kafka = new Kafka(connection);
    this.#name = name;
    this.#replies = `progress.replies.${name}`;
    this.#admin = kafka.admin();
    // The partitioner of the Java client: every client that uses it sends a learner's commands to the same partition.
    this.#producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    // Each running copy of the gateway has a group of its own, because each must hear every answer.
    this.#consumer = kafka.consumer({ groupId: `${this.#replies}.${randomUUID()}`, maxWaitTimeInMs: 100 });
  }

  async open() {
    await Promise.all([this.#admin.connect(), this.#producer.connect(), this.#consumer.connect()]);
    const topics = [this.#replies, PROGRESSED];
    // Where the topics end now, before the first command goes out, so that no answer can slip by.
    const ends = await Promise.all(topics.map((topic) => this.#admin.fetchTopicOffsets(topic)));
    await this.#consumer.subscribe({ topics });
    await this.#consumer.run({ autoCommit: false, eachMessage: async (record) => this.#hear(record) });
    topics.forEach((topic, n) =>
      ends[n].forEach(({ partition, high }) => this.#consumer.seek({ topic, partition, offset: high })),
    );
  }

  async close() {
    await Promise.all([this.#consumer.disconnect(), this.#producer.disconnect(), this.#admin.disconnect()]);
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

  /** Waits until so many lessons of an enrollment are completed; answers its state, as a live screen would show it. */
  progressed(enrollmentId, completed) {
    return within(30, `enrollment ${enrollmentId} to have ${completed} completed`, (resolve) => {
      const look = () => {
        const state = this.#progressed.get(enrollmentId);
        if (state?.completed >= completed) {
          this.#watchers.delete(look);
          resolve(state);
        }
      };
      this.#watchers.add(look);
      look();
    });
  }

  #answerTo(correlationId) {
    return within(30, 'an answer', (resolve) => this.#waiting.set(correlationId.toString('hex'), resolve));
  }

  #hear({ topic, message }) {
    const data = JSON.parse(message.value.toString());
    if (topic === PROGRESSED) {
      const known = this.#progressed.get(data.enrollmentId);
      if (!(known?.revision >= data.revision)) this.#progressed.set(data.enrollmentId, data);
      this.#watchers.forEach((look) => look());
      return;
    }
    const correlation = message.headers['correlation-id'].toString('hex');
    this.#waiting.get(correlation)?.({ type: message.headers.ce_type.toString(), data, headers: message.headers });
    this.#waiting.delete(correlation);
  }
}

/** A promise that gives up: replies are best effort, so whoever waits for one says for how long. */
function within(seconds, what, start) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`waited ${seconds} s for ${what}`)), seconds * 1000);
    late.unref(); // a program that ends does not wait for it
    start((value) => {
      clearTimeout(late);
      resolve(value);
    });
  });
}
