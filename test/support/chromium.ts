/** Debian's Chromium, driven by playwright-core, for tests of pages. */
import { isInstalled } from './installed.js'

/** The part of playwright-core's Page that tests use. */
export interface Page {
  goto(url: string): Promise<unknown>
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): unknown
  on(event: 'pageerror', listener: (error: Error) => void): unknown
  click(selector: string): Promise<void>
  textContent(selector: string): Promise<string | null>
  waitForSelector(selector: string): Promise<unknown>
  evaluate<T>(work: string): Promise<T>
  screenshot(options: { path: string; fullPage?: boolean }): Promise<unknown>
  context(): { newCDPSession(page: Page): Promise<Session> }
  readonly keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> }
}

interface Session {
  send(method: string, params?: object): Promise<unknown>
}

interface Browser {
  newPage(options: object): Promise<Page>
  close(): Promise<void>
}

interface Playwright {
  readonly chromium: { launch(options: object): Promise<Browser> }
}

export const hasChromium = isInstalled('chromium')

/** A browser, and all that its pages complained of: errors, and what their policy forbade. */
export class Chromium {
  readonly complaints: string[] = []

  private constructor(private readonly browser: Browser) {}

  static async start(): Promise<Chromium> {
    // By a name that the compiler does not follow: it is 10 MB of which the types above are used.
    const name: string = 'playwright-core'
    const { chromium }: Playwright = await import(name)
    // As root Chromium starts without its sandbox only; it sees nothing but this machine's own pages.
    return new Chromium(await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--force-color-profile=srgb'] }))
  }

  async open(url: string, options: object): Promise<Page> {
    const page = await this.browser.newPage({ locale: 'en-GB', ...options })
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text())
    })
    page.on('pageerror', (error) => this.complaints.push(error.stack ?? error.message))
    await page.goto(url)
    return page
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close()
  }
}

/** Bytes of JavaScript and nodes of the document, after a collection of garbage. */
export async function weightOf(page: Page): Promise<{ readonly heapBytes: number; readonly nodes: number }> {
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.enable')
  await session.send('HeapProfiler.collectGarbage')
  await session.send('Performance.enable')
  const { metrics } = (await session.send('Performance.getMetrics')) as { metrics: { name: string; value: number }[] }
  const of = (name: string): number => metrics.find((metric) => metric.name === name)?.value ?? NaN
  return { heapBytes: of('JSHeapUsedSize'), nodes: of('Nodes') }
}

/** What stands out of the page at its right side, or over something else: of what `selector` names. Words for each. */
export const clashesOf = (page: Page, selector: string): Promise<string[]> =>
  page.evaluate<string[]>(`(() => {
    const boxes = [...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => ({ words: one.textContent.trim().slice(0, 30) || one.getAttribute('aria-label') || one.tagName, box: one.getBoundingClientRect(), one })).filter(({ box }) => box.width > 0)
    const out = boxes.filter(({ box }) => box.right > innerWidth + 1 || box.left < -1).map(({ words }) => words + ' stands out')
    const over = boxes.flatMap((a, at) => boxes.slice(at + 1).flatMap((b) => {
      if (a.one.contains(b.one) || b.one.contains(a.one)) return []
      const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left)
      const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top)
      return wide > 1 && high > 1 ? [a.words + ' stands over ' + b.words] : []
    }))
    const wide = document.documentElement.scrollWidth > innerWidth ? ['the page is wider than its window'] : []
    return [...wide, ...out, ...over]
  })()`)
