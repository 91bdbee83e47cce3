import { type Answer, type AskOptions, Browser } from '../express/browser.js'

export type { Answer, AskOptions }

/** A browser with the cookie of withSession. */
export class FetchBrowser extends Browser {
  override async get(path: string, options: AskOptions = {}): Promise<Answer> {
    const answer = await super.get(path, options)
    const session = answer.setCookies.find((cookie) => cookie.startsWith('sessionId='))?.replace(/;.*$/, '')
    if (session === 'sessionId=') this.cookie = undefined
    else if (session !== undefined) this.cookie = session
    return answer
  }

  override get sid(): string {
    const value = decodeURIComponent(this.cookie?.replace('sessionId=', '') ?? '')
    return value.slice(0, value.lastIndexOf('.'))
  }

  override twin(): FetchBrowser {
    const twin = new FetchBrowser(this.port)
    twin.cookie = this.cookie
    return twin
  }
}
