// What the gateway and the screen share: the connection's settings, and reading a topic from now on.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Kafka, logLevel } from 'kafkajs';

/** A connection by the environment: nothing but BROKER is needed for a broker without protection. */
export function connect(environment, { username = environment.KAFKA_USERNAME, password = environment.KAFKA_PASSWORD } = {}) {
  const protocol = environment.KAFKA_SECURITY_PROTOCOL ?? 'PLAINTEXT';
  const mechanism = (environment.KAFKA_SASL_MECHANISM ?? 'SCRAM-SHA-512').toLowerCase();
  const ca = environment.KAFKA_CA_FILE && [readFileSync(environment.KAFKA_CA_FILE, 'utf8')];
  return new Kafka({
    clientId: environment.GATEWAY,
    brokers: environment.BROKER.split(','),
    logLevel: logLevel.NOTHING, // every failure is raised where it matters
    ssl: protocol.endsWith('SSL') ? { ca: ca || undefined } : undefined,
    sasl: protocol.startsWith('SASL') ? { mechanism, username, password } : undefined,
  });
}

/** Reads all that comes to a topic from now on; answers how to end it. Nothing that comes later can slip by. */
export async function readFromNow(kafka, topic, group, hear) {
  const admin = kafka.admin();
  // Each running copy has a group of its own, because each must hear everything.
  const groupId = `${group}-${randomUUID()}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, allowAutoTopicCreation: false });
  try {
    await admin.connect();
    if (!(await admin.listTopics()).includes(topic)) throw new Error(`the topic ${topic} is not there`);
    const ends = await admin.fetchTopicOffsets(topic);
    await consumer.connect();
    await consumer.subscribe({ topic });
    await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => hear(message) });
    ends.forEach(({ partition, high }) => consumer.seek({ topic, partition, offset: high }));
  } catch (failure) {
    await consumer.disconnect();
    throw failure;
  } finally {
    await admin.disconnect();
  }
  return () => consumer.disconnect();
}

/** A promise that gives up: whoever waits for an answer says for how long. */
export function within(seconds, what, start) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`waited ${seconds} s for ${what}`)), seconds * 1000);
    late.unref(); // a program that ends does not wait for it
    start((value) => {
      clearTimeout(late);
      resolve(value);
    });
  });
}
