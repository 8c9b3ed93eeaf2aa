// A live screen: follows how far enrollments are.

import { readFromNow, within } from './kafka.js';

const PATIENCE_SECONDS = 30;

export class Screen {
  #states = new Map(); // enrollment id -> its latest state
  #watchers = new Set();
  #stopReading;

  static async open(kafka) {
    const screen = new Screen();
    screen.#stopReading = await readFromNow(kafka, 'enrollment.progressed', 'screens', (record) => screen.#hear(record));
    return screen;
  }

  async close() {
    await this.#stopReading();
  }

  /** Waits until so many lessons of an enrollment are completed; answers its state. */
  progressed(enrollmentId, completed) {
    return within(PATIENCE_SECONDS, `enrollment ${enrollmentId} to have ${completed} completed`, (resolve) => {
      const look = () => {
        const state = this.#states.get(enrollmentId);
        if (state?.completed >= completed) {
          this.#watchers.delete(look);
          resolve(state);
        }
      };
      this.#watchers.add(look);
      look();
    });
  }

  #hear({ value }) {
    const state = JSON.parse(value.toString());
    const known = this.#states.get(state.enrollmentId);
    if (known && known.revision >= state.revision) return; // the highest revision is the latest state
    this.#states.set(state.enrollmentId, state);
    this.#watchers.forEach((look) => look());
  }
}
