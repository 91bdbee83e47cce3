import type { MakeWireSubject, Play, WireSubject, WireSubjectOptions } from './subject.js'

/** Makes the subjects that cases are played on, each when the first case that needs it runs. */
export class Bench {
  private readonly made: Promise<WireSubject>[] = []

  constructor(private readonly make: MakeWireSubject) {}

  /** Plays cases on one subject, which all of them share. */
  shared(options?: WireSubjectOptions): (play: Play) => () => Promise<void> {
    let subject: Promise<WireSubject> | undefined
    const theSubject = (): Promise<WireSubject> => {
      if (subject === undefined) this.made.push((subject = this.make(options)))
      return subject
    }
    return (play) => async () => play(await theSubject())
  }

  /**
   * Plays each case on a subject of its own. All of them start when the first of them is run: so cases that wait for a
   * real store's clock take as long as the longest of them, even where a runner runs one case after the other.
   */
  apart(plays: readonly Play[]): (play: Play) => () => Promise<void> {
    let running: ReadonlyMap<Play, Promise<void>> | undefined
    const start = (): ReadonlyMap<Play, Promise<void>> => {
      const started = new Map(plays.map((play) => [play, this.alone(play)]))
      // Each case looks at its own outcome, but perhaps only later: until then a rejection must not count as unhandled.
      for (const outcome of started.values()) outcome.catch(() => undefined)
      return started
    }
    return (play) => async () => {
      running ??= start()
      await running.get(play)
    }
  }

  /** Plays one case on a subject of its own. */
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
