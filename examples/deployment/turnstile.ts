/** Through it go all who may begin a session; closed, nobody does. */
export class Turnstile {
  private readonly within = new Set<Promise<unknown>>()
  private opened: PromiseWithResolvers | undefined

  async through<T>(work: () => Promise<T>): Promise<T> {
    while (this.opened !== undefined) await this.opened.promise
    const working = work()
    this.within.add(working)
    try {
      return await working
    } finally {
      this.within.delete(working)
    }
  }

  /** Runs `work` while nobody is within. */
  async closedFor<T>(work: () => Promise<T>): Promise<T> {
    const opened = withResolvers()
    this.opened = opened
    try {
      await Promise.allSettled(this.within)
      return await work()
    } finally {
      this.opened = undefined
      opened.resolve()
    }
  }
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>
  resolve(): void
}

function withResolvers(): PromiseWithResolvers {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}
