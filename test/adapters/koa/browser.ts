import { type Answer, type AskOptions, Browser } from '../express/browser.js'

export type { Answer, AskOptions }

/** A browser with the two cookies of koa-session: the id, and its signature. */
export class KoaBrowser extends Browser {
  private readonly jar = new Map<string, string>()

  override async get(path: string, options: AskOptions = {}): Promise<Answer> {
    const answer = await super.get(path, options)
    for (const cookie of answer.setCookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (name.startsWith('koa.sess')) this.jar.set(name, value)
    }
    if (this.sid === '') this.jar.clear()
    this.cookie = this.jar.size === 0 ? undefined : [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ')
    return answer
  }

  override forget(): void {
    this.jar.clear()
    super.forget()
  }

  override get sid(): string {
    return this.jar.get('koa.sess') ?? ''
  }

  override twin(): KoaBrowser {
    const twin = new KoaBrowser(this.port)
    twin.cookie = this.cookie
    for (const [name, value] of this.jar) twin.jar.set(name, value)
    return twin
  }
}
