// Sends a record for each key (base64, one a line) to TOPIC, for a test that compares where clients put them.

import { readFileSync } from 'node:fs';
import { Partitioners } from 'kafkajs';
import { connect } from './kafka.js';

const keys = readFileSync(0, 'utf8').split('\n').slice(0, -1);
const createPartitioner = Partitioners[process.env.PARTITIONER];
const producer = connect({ ...process.env, GATEWAY: 'partitions' }).producer({ createPartitioner });
await producer.connect();
const messages = keys.map((key) => ({ key: Buffer.from(key, 'base64'), value: key }));
await producer.send({ topic: process.env.TOPIC, acks: -1, messages });
await producer.disconnect();
