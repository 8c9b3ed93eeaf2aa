// One conversation in twelve steps between a gateway and lesson-progress; every answer is compared with the contract.

import assert from 'node:assert/strict';
import { Gateway, connectionFrom } from './gateway.js';

const NEEDED = ['BROKER', 'HTTP_URL', 'GATEWAY', 'USER_ID', 'TOKEN', 'COURSE', 'LESSON', 'NEXT_LESSON'];
const OTHERS = ['LESSON_WITHOUT_MODULE', 'LESSON_OF_ANOTHER_COURSE', 'PREVIEW_LESSON'];

const settings = process.env;
const missing = [...NEEDED, ...OTHERS].filter((name) => !settings[name]);
if (missing.length) {
  console.error(`Set ${missing.join(', ')}; README.md says what they are.`);
  process.exit(2);
}
const { HTTP_URL, GATEWAY, USER_ID, TOKEN, COURSE, LESSON, NEXT_LESSON } = settings;
const gateway = new Gateway(GATEWAY, connectionFrom(settings));

let steps = 0;
const done = (what) => console.log(`${String((steps += 1)).padStart(2)} ${what}`);
const json = (data) => JSON.stringify(data);

async function rejected(expected, value, token = TOKEN) {
  const { type, data } = await gateway.complete(USER_ID, value, { token });
  assert.equal(type, 'command.rejected.v1', `the answer was ${type} ${json(data)}`);
  assert.deepEqual(data, expected);
  done(`rejected: ${expected.code} ${expected.reason}`);
}

async function get(path) {
  const answer = await fetch(`${HTTP_URL}/v1/courses/${encodeURIComponent(COURSE)}/${path}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    signal: AbortSignal.timeout(10_000),
  });
  assert.equal(answer.status, 200, `${path} answered ${answer.status}`);
  return answer.json();
}

async function converse() {
  const value = json({ lessonId: LESSON });
  const marked = await gateway.complete(USER_ID, value, { token: TOKEN });
  assert.equal(marked.type, 'lesson.marked.v1', `the answer was ${marked.type} ${json(marked.data)}`);
  const { progressId, completedAt, enrollmentId, ...rest } = marked.data;
  assert.deepEqual(rest, { lessonId: LESSON, courseId: COURSE, alreadyCompleted: false });
  done(`completed: ${progressId}`);

  const again = await gateway.complete(USER_ID, value, { token: TOKEN });
  assert.deepEqual(again.data, { ...marked.data, alreadyCompleted: true });
  done(`repeated: recorded once, at ${new Date(completedAt).toISOString()}`);

  await rejected({ code: 401, reason: 'Not authenticated' }, value, null);
  await rejected({ code: 401, reason: 'Not authenticated' }, value, 'not-a-token');
  await rejected({ code: 404, reason: 'Lesson not found', lessonId: 'no-such-lesson' }, json({ lessonId: 'no-such-lesson' }));
  for (const [name, code, reason] of [
    ['LESSON_WITHOUT_MODULE', 404, 'Module not found'],
    ['LESSON_OF_ANOTHER_COURSE', 403, 'Not enrolled in this course'],
    ['PREVIEW_LESSON', 422, 'Preview lessons are not tracked'],
  ]) {
    const lessonId = settings[name];
    await rejected({ code, reason, lessonId }, json({ lessonId }));
  }
  await rejected({ code: 400, reason: 'Invalid command' }, '{"lessonId": 7}');

  const correlationId = Buffer.from('réponse/№ 1 \u{1F4EC} "=;', 'utf8');
  const own = await gateway.complete(USER_ID, value, { token: TOKEN, correlationId, id: 'command-10' });
  assert.deepEqual(own.headers['correlation-id'], correlationId);
  assert.equal(own.headers.ce_causationid.toString(), 'command-10');
  done(`answered on progress.replies.${GATEWAY}, the correlation id byte for byte`);

  const state = await gateway.progressed(enrollmentId, 1);
  const percent = (state.completed / state.total) * 100;
  assert.deepEqual([state.completed, state.progressPercent, state.userId], [1, percent, USER_ID]);
  done(`progressed: ${state.progressPercent} %, ${state.completed} of ${state.total}`);

  const progress = await get('progress');
  const expected = { enrollmentId, total: state.total, completed: 1, percent, completedLessonIds: [LESSON] };
  assert.deepEqual(progress, expected);
  assert.deepEqual(await get('next-lesson'), { lessonId: NEXT_LESSON });
  done(`read over HTTP: ${progress.percent} %, next is ${NEXT_LESSON}`);
}

try {
  await gateway.open();
  await converse();
} catch (failure) {
  console.error(`Step ${steps + 1} went otherwise: ${failure.message}`);
  process.exitCode = 1;
} finally {
  await gateway.close();
}
