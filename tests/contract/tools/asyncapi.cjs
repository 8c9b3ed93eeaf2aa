// Reads an AsyncAPI document with the parser of the AsyncAPI project; says what it finds wrong and what it understood.
const { readFileSync } = require('node:fs');
const { Parser } = require('@asyncapi/parser');

const SEVERITIES = ['error', 'warning', 'information', 'hint'];

async function main(file) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'), { source: file });
  const found = diagnostics.map(({ severity, code, path, message }) => ({
    severity: SEVERITIES[severity],
    code,
    path: path.join('.'),
    message,
  }));
  const channels = document?.channels().all().map((channel) => ({
    id: channel.id(),
    address: channel.address() ?? null,
    messages: channel.messages().all().map((message) => message.id()),
    parameters: channel.parameters().all().map((parameter) => parameter.id()),
  }));
  const operations = document?.operations().all().map((operation) => ({
    id: operation.id(),
    action: operation.action(),
    channels: operation.channels().all().map((channel) => channel.id()),
    messages: operation.messages().all().map((message) => message.id()),
    replies: operation.reply()?.messages().all().map((message) => message.id()) ?? [],
    replyTo: operation.reply()?.address()?.location() ?? null,
    group: operation.bindings().get('kafka')?.value().groupId?.enum[0] ?? null,
  }));
  const messages = document?.components().messages().all().map((message) => ({
    id: message.id(),
    headers: Object.keys(message.headers()?.properties() ?? {}),
    required: message.headers()?.required() ?? [],
    fields: Object.keys(message.payload()?.properties() ?? {}),
    key: message.bindings().get('kafka')?.value().key.title,
    examples: message.examples().all().length,
  }));
  process.stdout.write(JSON.stringify({ found, channels, operations, messages }));
}

main(process.argv[2]);
