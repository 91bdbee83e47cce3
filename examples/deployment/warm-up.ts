import { Browser } from './browser.js'
import type { Installation } from './installation.js'
import { Ledger } from './ledger.js'
import { Site } from './site.js'
import { Tally } from './tally.js'
import { Turnstile } from './turnstile.js'

const VISITORS = 40
const PAGES = 5

/** Some pages that nobody counts: a process that has just started is slow at everything. */
export async function warmUp({ nginx, failed }: Installation): Promise<void> {
  const site = new Site(nginx.url)
  const town = { site, ledger: new Ledger(), tally: new Tally(), turnstile: new Turnstile(), signal: failed }
  const visit = async (browser: Browser): Promise<void> => {
    for (let pages = 0; pages < PAGES; pages++) await browser.page()
  }
  await Promise.all(Array.from({ length: VISITORS }, () => visit(new Browser(town))))
  site.close()
}
