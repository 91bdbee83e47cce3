import { setMaxListeners } from 'node:events'
import { Browser, type Town } from './browser.js'
import { pause } from './pause.js'

/** From one page to the next: between half of it and one and a half times of it. */
export const THINK_MS = 15_000

/** Visitors who look at a page, think, and look at the next. */
export class Crowd {
  readonly browsers: readonly Browser[]

  constructor(town: Town, size: number) {
    this.browsers = Array.from({ length: size }, () => new Browser(town))
  }

  /** Resolves when the signal has aborted, and everybody has the answers of the last page. */
  async walk(until: AbortSignal): Promise<void> {
    // Everybody listens; that is no leak.
    setMaxListeners(0, until)
    await Promise.all(this.browsers.map((browser) => this.visit(browser, until)))
  }

  private async visit(browser: Browser, until: AbortSignal): Promise<void> {
    // Nobody begins at the same time as the others.
    let thinkMs = Math.random() * THINK_MS
    for (;;) {
      await pause(thinkMs, until)
      if (until.aborted) return
      await browser.page()
      thinkMs = (0.5 + Math.random()) * THINK_MS
    }
  }
}
