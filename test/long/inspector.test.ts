import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SessionManager } from 'latchkey'
import { createInspector, type Inspector } from 'latchkey/inspector'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildBesideSource } from '../../page/build.js'
import { startBuilt } from '../examples/run-example.js'
import { Chromium, clashesOf, hasChromium, type Page, weightOf } from '../support/chromium.js'
import { lacking } from '../support/installed.js'
import { ROOT } from '../support/pages.js'

/**
 * The page in a real browser. UPDATE_SCREENSHOTS=1 makes the pictures of docs/images anew; OPEN_MINUTES=10 leaves it open for as long,
 * and prints its memory every half a minute.
 */

const OPEN_MS = process.env['OPEN_MINUTES'] === undefined ? 8000 : Number(process.env['OPEN_MINUTES']) * 60_000
const LOOK_MS = 30_000
const PICTURES = process.env['UPDATE_SCREENSHOTS'] === undefined ? join(ROOT, '.cache/screenshots') : join(ROOT, 'docs/images')
const DESKTOP = { viewport: { width: 1280, height: 900 } }
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }
/** Everything that has words of its own, or can be pressed. */
const PARTS = 'header h1, header .state, .tools > *, .verdict, .panel h2, .lane-name, .lane-picture, figcaption, .charts canvas, .detail, .card > h2, .counters > div, footer'

let manager: SessionManager
let inspector: Inspector
let server: Server
let chromium: Chromium
let url: string
let isOpen = true
const traffic: Promise<void>[] = []

async function visit(id: string, label: string, holdMs: number, thinkMs: number): Promise<void> {
  while (isOpen) {
    await manager.run(id, () => sleep(holdMs), { label })
    await sleep(thinkMs)
  }
}

/** One session in a jam behind a slow report, one page of three requests, and ten visitors whom nothing keeps. */
function goOn(): void {
  traffic.push(visit('in-a-jam', 'GET /report', 2500, 200))
  for (let n = 0; n < 6; n++) traffic.push(visit('in-a-jam', 'GET /cart', 30, 400 + n * 90))
  for (const [label, holdMs] of [['GET /preferences', 260], ['POST /cart', 110], ['GET /notifications', 60]] as const) traffic.push(visit('a-page', label, holdMs, 300))
  for (let n = 0; n < 8; n++) traffic.push(visit(`visitor-${String(n)}`, 'GET /', 5 + n * 12, 400))
}

beforeAll(async () => {
  if (!hasChromium) return
  mkdirSync(PICTURES, { recursive: true })
  await buildBesideSource()
  manager = new SessionManager({ savePath: 'memory:' })
  inspector = createInspector(manager, { names: ['shop'] })
  const mounted = inspector.express()
  server = createServer((req, res) => mounted(req, res, () => res.writeHead(404).end())).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  url = `http://127.0.0.1:${String(typeof address === 'object' ? address?.port : '')}/latchkey/`
  chromium = await Chromium.start()
  goOn()
})
afterAll(async () => {
  isOpen = false
  if (!hasChromium) return
  await chromium[Symbol.asyncDispose]()
  inspector.close()
  server.close()
  await Promise.all(traffic)
  await manager.close()
})

const picture = (page: Page, name: string): Promise<unknown> => page.screenshot({ path: join(PICTURES, `inspector-${name}.png`) })
const shown = (page: Page, selector: string): Promise<string | null> => page.evaluate<string | null>(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? null`)

/** The page amid the jam: the report has been held for long enough to be the culprit. */
async function jammed(options: object): Promise<Page> {
  const page = await chromium.open(url, options)
  await expect.poll(() => page.evaluate<boolean>(`document.querySelectorAll('.visit').length > 30 && /GET .report.*[3-9] requests wait/.test(document.querySelector('.verdict.jam')?.textContent ?? '')`)).toBe(true)
  return page
}

describe.skipIf(!hasChromium)(`the live page${lacking('chromium')}`, () => {
  it.each([['light', DESKTOP], ['dark', DESKTOP], ['phone', PHONE]] as const)('%s: names the culprit, draws who waits and who holds; nothing stands out or over anything else', async (name, options) => {
    const page = await jammed({ ...options, colorScheme: name === 'dark' ? 'dark' : 'light' })
    // So that the window is filled.
    await sleep(process.env['UPDATE_SCREENSHOTS'] === undefined ? 0 : 15_000)
    await expect.poll(() => shown(page, '.verdict.jam')).toMatch(/GET \/report.*[3-9] requests wait/)
    await picture(page, name)
    expect(await clashesOf(page, PARTS)).toEqual([])
    const [first] = await page.evaluate<string[]>(`[...document.querySelectorAll('tbody th')].map((cell) => cell.textContent.trim())`)
    expect(first).toBe('GET /report')
    expect(await page.evaluate<number>(`document.querySelectorAll('.lane').length`)).toBeGreaterThan(4)
  })

  it('is used by the keyboard alone: the life of a request, pause, filter', async () => {
    const page = await jammed(DESKTOP)
    for (let n = 0; n < 12 && !(await page.evaluate<boolean>(`document.activeElement?.classList.contains('panels') === true`)); n++) await page.keyboard.press('Tab')
    await page.keyboard.press('p')
    await expect.poll(() => shown(page, '.state')).toBe('paused')
    await page.keyboard.press('ArrowDown')
    await page.waitForSelector('.detail')
    expect(await shown(page, '.detail')).toMatch(/session.*(?:waited|held)/s)
    const before = await shown(page, '.detail')
    await page.keyboard.press('ArrowLeft')
    await expect.poll(() => shown(page, '.detail')).not.toBe(before)
    await page.keyboard.press('Escape')
    await expect.poll(() => shown(page, '.detail')).toBeNull()
    await page.keyboard.press('p')
    await expect.poll(() => shown(page, '.state')).toBe('live')
    await page.keyboard.press('/')
    await page.keyboard.type('preferences')
    await expect.poll(() => page.evaluate<number>(`document.querySelectorAll('.lane').length`)).toBe(1)
    await page.keyboard.press('Escape')
    await expect.poll(() => page.evaluate<number>(`document.querySelectorAll('.lane').length`)).toBeGreaterThan(4)
  })

  it('saves what it remembers as JSON, without an id', async () => {
    const page = await jammed(DESKTOP)
    await page.evaluate(`(() => { const make = URL.createObjectURL; URL.createObjectURL = (blob) => { blob.text().then((text) => (window.saved = text)); return make(blob) } })()`)
    await page.keyboard.press('e')
    await expect.poll(() => page.evaluate<string>(`window.saved ?? ''`)).toContain('"GET /report"')
    const saved = await page.evaluate<string>('window.saved')
    expect(JSON.parse(saved)).toMatchObject({ sources: [{ name: 'shop' }], visits: expect.any(Array), routes: expect.any(Array) })
    expect(saved).not.toContain('in-a-jam')
  })

  it('keeps its memory flat while it is open under load', async () => {
    const page = await jammed(DESKTOP)
    // What is drawn grows until the window is full, so a short one.
    await page.evaluate(`(() => { const choice = document.querySelector('select'); choice.value = '5'; choice.dispatchEvent(new Event('change', { bubbles: true })) })()`)
    await sleep(7000)
    const before = await weightOf(page)
    for (let leftMs = OPEN_MS; leftMs > 0; leftMs -= LOOK_MS) {
      await sleep(Math.min(leftMs, LOOK_MS))
      const after = await weightOf(page)
      // What it remembers fills up; what it draws is as much as before.
      expect(after.heapBytes - before.heapBytes).toBeLessThan(4e6)
      expect(after.nodes - before.nodes).toBeLessThan(3000)
      if (OPEN_MS > LOOK_MS) console.log(`heap ${String(Math.round(after.heapBytes / 1024))} KB, ${String(after.nodes)} nodes`)
    }
    // No request that has left the window leaves anything in its lane.
    const left = `[...document.querySelectorAll('.lane-picture')].map((lane) => lane.childNodes.length - 4 * lane.querySelectorAll('.visit').length)`
    expect(Math.max(...(await page.evaluate<number[]>(left)))).toBeLessThan(20)
  }, 60_000 + OPEN_MS)

  it("shows the demo's race: changes lost without the lock, none with it, as often as it is asked for; ends with ctrl-C", async () => {
    const demo = await startBuilt('demo', ['--page'])
    let said = ''
    demo.child.stdout?.on('data', (text: string) => (said += text))
    await demo.printed('Ctrl-C ends')
    const page = await chromium.open(/http:\S+/.exec(said)?.[0] ?? '', { viewport: { width: 1280, height: 760 } })
    const titles = (): Promise<string[]> => page.evaluate<string[]>(`[...document.querySelectorAll('.panel h2')].map((title) => title.textContent)`)
    await demo.printed('changes, with it')
    await expect.poll(titles).toEqual([expect.stringMatching(/Without the lock.*[1-3] changes? lost/s), expect.stringMatching(/With the lock.*none lost/s)])
    expect(await shown(page, '.panels')).toMatch(/✗ lost/)
    await picture(page, 'race')
    await page.click('button.main')
    await expect.poll(() => said.match(/Kept without the lock/g)?.length).toBe(2)
    // It would ask for its events again, and complain that nobody answers.
    await page.goto('about:blank')
    demo.child.kill('SIGINT')
    expect(await demo.ended).toMatchObject({ exitCode: 130, stderr: '' })
  })

  it('complains of nothing, and asked for nothing that its policy forbids', () => {
    expect(chromium.complaints).toEqual([])
  })
})
