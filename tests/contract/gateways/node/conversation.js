// One conversation in twelve steps between a gateway and lesson-progress; every answer is compared with the contract.

import { isDeepStrictEqual } from 'node:util';
import { Gateway } from './gateway.js';
import { connect } from './kafka.js';
import { Screen } from './screen.js';

const NEEDED = ['BROKER', 'HTTP_URL', 'GATEWAY', 'USER_ID', 'TOKEN', 'COURSE', 'LESSON', 'NEXT_LESSON'];
const OTHERS = ['LESSON_OF_ANOTHER_COURSE', 'PREVIEW_LESSON'];

const settings = process.env;
const missing = [...NEEDED, ...OTHERS].filter((name) => !settings[name]);
if (missing.length) {
  console.error(`Set ${missing.join(', ')}; README.md says what they are.`);
  process.exit(2);
}
const { HTTP_URL, GATEWAY, USER_ID, TOKEN, COURSE, LESSON, NEXT_LESSON } = settings;
let gateway, screen;
let steps = 0;
const done = (what) => console.log(`${String((steps += 1)).padStart(2)} ${what}`);
const json = (data) => JSON.stringify(data);

function same(expected, found, what) {
  if (!isDeepStrictEqual(found, expected)) {
    throw new Error(`${what} was ${json(found)}, and should be ${json(expected)}`);
  }
}

async function rejected(expected, value, token = TOKEN) {
  const { type, data } = await gateway.complete(USER_ID, value, { token });
  same({ type: 'command.rejected.v1', ...expected }, { type, ...data }, 'the answer');
  done(`rejected: ${expected.code} ${expected.reason}`);
}

async function get(path) {
  const answer = await fetch(`${HTTP_URL}/v1/courses/${encodeURIComponent(COURSE)}/${path}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    signal: AbortSignal.timeout(10_000),
  });
  same(200, answer.status, `the status of ${path}`);
  return answer.json();
}

async function converse() {
  const value = json({ lessonId: LESSON });
  const marked = await gateway.complete(USER_ID, value, { token: TOKEN });
  const { progressId, completedAt, enrollmentId, ...rest } = marked.data;
  const first = { type: 'lesson.marked.v1', lessonId: LESSON, courseId: COURSE, alreadyCompleted: false };
  same(first, { type: marked.type, ...rest }, 'the answer');
  done(`completed: ${progressId}`);

  const again = await gateway.complete(USER_ID, value, { token: TOKEN });
  same({ ...marked.data, alreadyCompleted: true }, again.data, 'the repeated answer');
  done(`repeated: recorded once, at ${new Date(completedAt).toISOString()}`);

  await rejected({ code: 401, reason: 'Not authenticated', lessonId: LESSON }, value, null);
  await rejected({ code: 401, reason: 'Not authenticated', lessonId: LESSON }, value, 'not-a-token');
  for (const [lessonId, code, reason] of [
    ['no-such-lesson', 404, 'Lesson not found'],
    [settings.LESSON_WITHOUT_MODULE, 404, 'Module not found'],
    [settings.LESSON_OF_ANOTHER_COURSE, 403, 'Not enrolled in this course'],
    [settings.PREVIEW_LESSON, 422, 'Preview lessons are not tracked'],
  ]) {
    if (lessonId) await rejected({ code, reason, lessonId }, json({ lessonId }));
    else done('not asked: LESSON_WITHOUT_MODULE is not set');
  }
  await rejected({ code: 400, reason: 'Invalid command' }, '{"lessonId": 7}');

  const correlationId = Buffer.from('réponse/№ 1 \u{1F4EC} "=;', 'utf8');
  const own = await gateway.complete(USER_ID, value, { token: TOKEN, correlationId, id: 'command-10' });
  same(correlationId.toString('hex'), own.headers['correlation-id'].toString('hex'), 'correlation-id');
  same('command-10', own.headers.ce_causationid.toString(), 'ce_causationid');
  done(`answered on progress.replies.${GATEWAY}, the correlation id byte for byte`);

  const state = await screen.progressed(enrollmentId, 1);
  const percent = (state.completed / state.total) * 100;
  same([1, percent, USER_ID], [state.completed, state.progressPercent, state.userId], 'the state');
  done(`progressed: ${state.progressPercent} %, ${state.completed} of ${state.total}`);

  const progress = await get('progress');
  const expected = { enrollmentId, total: state.total, completed: 1, percent, completedLessonIds: [LESSON] };
  same(expected, progress, 'the progress');
  same({ lessonId: NEXT_LESSON }, await get('next-lesson'), 'the next lesson');
  done(`read over HTTP: ${progress.percent} %, next is ${NEXT_LESSON}`);
}

try {
  gateway = await Gateway.open(connect(settings), GATEWAY);
  // Who reads for the screens is somebody else where the broker gives everyone the least rights.
  const { SCREENS_USERNAME: username, SCREENS_PASSWORD: password } = settings;
  screen = await Screen.open(connect(settings, { username, password }));
  await converse();
} catch (failure) {
  console.error(`Step ${steps + 1} went otherwise: ${failure.message}`);
  process.exitCode = 1;
} finally {
  await Promise.all([gateway?.close(), screen?.close()]);
}
