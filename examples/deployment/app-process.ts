import { fileURLToPath } from 'node:url'
import { type Program, type Programs, until } from './programs.js'

const APP = fileURLToPath(new URL('app.ts', import.meta.url))

export interface AppSettings {
  readonly port: number
  readonly savePath: string
  readonly backend: string
  readonly secret: string
}

/** One of the four processes of the application, which comes back on the same port. */
export class AppProcess {
  private program: Program | undefined
  /** Whether it is meant to run: else its end is none that anybody need be told of. */
  private isWanted = false

  constructor(
    private readonly programs: Programs,
    private readonly settings: AppSettings,
    private readonly onEnd: (error: Error) => void,
  ) {}

  get port(): number {
    return this.settings.port
  }

  get address(): string {
    return `127.0.0.1:${String(this.port)}`
  }

  /** Resolves when it is ready. */
  async start(signal: AbortSignal): Promise<void> {
    const { port, savePath, backend, secret } = this.settings
    const env = { ...process.env, NODE_ENV: 'production', PORT: String(port), SAVE_PATH: savePath, BACKEND: backend, SECRET: secret }
    const program = this.programs.start(process.execPath, ['--import', 'tsx', APP], env)
    this.program = program
    await until(`the application on port ${String(port)} did not start`, () => this.isReady(), { program, signal })
    this.isWanted = true
    void program.ended.then((how) => {
      if (this.isWanted) this.onEnd(new Error(`The application on port ${String(port)} has ended by itself (${String(how)}). ${program.complaint()}`))
    })
  }

  /** Whether requests should come here: not before it has started, nor while it closes. */
  async isReady(): Promise<boolean> {
    return (await this.statusOf('/readyz')) === 200
  }

  async metrics(): Promise<string> {
    const response = await fetch(`http://${this.address}/metrics`, { signal: AbortSignal.timeout(5000) })
    return response.text()
  }

  /** As systemd or Kubernetes stops it: who holds a session finishes. @throws when it ends in another way than well. */
  async stop(): Promise<void> {
    const how = await this.end('SIGTERM')
    if (how !== 0) throw new Error(`The application on port ${String(this.port)} did not end well on SIGTERM (${String(how)}). ${this.program?.complaint() ?? ''}`)
  }

  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  private async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | undefined> {
    this.isWanted = false
    this.program?.signal(signal)
    return this.program?.ended
  }

  private async statusOf(path: string): Promise<number> {
    try {
      const response = await fetch(`http://${this.address}${path}`, { signal: AbortSignal.timeout(2000) })
      await response.text()
      return response.status
    } catch {
      return 0
    }
  }
}
