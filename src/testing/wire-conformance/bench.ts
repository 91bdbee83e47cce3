import type { MakeWireSubject, Play, WireSubject, WireSubjectOptions } from './subject.js'

/** What cases are played on. Nothing is made before the first case that needs it runs. */
export class Bench {
  private readonly made: Promise<WireSubject>[] = []

  constructor(private readonly make: MakeWireSubject) {}

  /** On one subject, which all of these cases share. */
  shared(options?: WireSubjectOptions): (play: Play) => () => Promise<void> {
    let subject: Promise<WireSubject> | undefined
    const theSubject = (): Promise<WireSubject> => {
      if (subject === undefined) this.made.push((subject = this.make(options)))
      return subject
    }
    return (play) => async () => play(await theSubject())
  }

  /**
   * Each on a subject of its own, and all at the same time, whenever the first of them is asked for: cases that wait for
   * a real store's time to pass take as long as the longest of them, also where a runner runs one after the other.
   */
  apart(plays: readonly Play[]): (play: Play) => () => Promise<void> {
    let running: ReadonlyMap<Play, Promise<void>> | undefined
    const start = (): ReadonlyMap<Play, Promise<void>> => {
      const started = new Map(plays.map((play) => [play, this.alone(play)]))
      // Looked at by its own case, which may come to it later.
      for (const outcome of started.values()) outcome.catch(() => undefined)
      return started
    }
    return (play) => async () => {
      running ??= start()
      await running.get(play)
    }
  }

  /** On a subject of its own. */
  async alone(play: Play): Promise<void> {
    const subject = await this.make()
    try {
      await play(subject)
    } finally {
      await subject.close()
    }
  }

  async close(): Promise<void> {
    const made = await Promise.allSettled(this.made)
    await Promise.all(made.flatMap((one) => (one.status === 'fulfilled' ? [one.value.close()] : [])))
  }
}
