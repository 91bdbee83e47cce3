import type { Listening, Post } from '../../../src/neighbours/post.js'
import type { LineFate } from './neighbours.js'
import type { SimulatedHost, SimulatedTime } from './time.js'

interface Listener {
  readonly host: SimulatedHost
  readonly heard: (text: string) => void
}

/** Stands for a store's publish and subscribe between hosts, and is a poor one. */
export class SimulatedPostOffice {
  private readonly boxes = new Map<string, Set<Listener>>()

  constructor(
    private readonly time: SimulatedTime,
    private readonly fateOf: (line: string) => LineFate,
  ) {}

  /** The post of one process. */
  counterOf(host: SimulatedHost): Post {
    return { listen: (box, heard) => this.listen(box, { host, heard }), send: (box, text) => this.send(box, text) }
  }

  private listen(box: string, listener: Listener): Listening {
    const listeners = this.boxes.get(box) ?? new Set()
    this.boxes.set(box, listeners.add(listener))
    return { close: () => void listeners.delete(listener) }
  }

  private send(box: string, text: string): void {
    const { upMs, times, breaks, forged } = this.fateOf(text)
    // `breaks`: the connection that listens is away.
    const texts = [...Array.from({ length: breaks ? 0 : times }, () => text), ...forged]
    texts.forEach((one, index) => {
      this.time.after(upMs * (index + 1), () => {
        for (const { host, heard } of this.boxes.get(box) ?? []) host.deliver(() => heard(one))
      })
    })
  }
}
