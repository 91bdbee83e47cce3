import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Clock } from '../../system/clock.js'
import type { Health } from '../../session/health.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { Frame, NodeShown, SourceInfo } from './frame.js'
import { nowShown, Recorder, tenths } from './recorder.js'

/** Whatever a page can look at: a manager of this process, or one of another that is looked at from outside. */
export interface Source {
  readonly infos: readonly SourceInfo[]
  /** Somebody looks, from now on until `stop`. */
  start(): void
  stop(): void
  /** What happened since the last call. @param isForced also when there is nothing new. */
  frames(isForced: boolean): readonly Frame[]
}

const SCENE = { sessions: 60, waiters: 20, shortMs: 30 }
const HEALTH_EVERY_MS = 2000

/** One manager. While nobody looks, nothing is recorded, and nothing of it is kept. */
export class ManagerSource implements Source {
  readonly infos: readonly [SourceInfo]
  private readonly clock: Clock
  private recorder = new Recorder()
  private unplug: (() => void) | undefined
  private health: Health | undefined
  private askedAtMs = -Infinity

  constructor(private readonly manager: SessionManager, name = manager.name) {
    this.clock = manager.engine.settings.clock
    const source = randomBytes(6).toString('hex')
    this.infos = [{ source, name, host: hostname(), pid: process.pid, isLocking: manager.isLocking }]
  }

  start(): void {
    this.recorder = new Recorder()
    this.unplug = this.manager.engine.tap.add(this.recorder)
  }

  stop(): void {
    this.unplug?.()
    this.unplug = undefined
    this.recorder = new Recorder()
    this.health = undefined
  }

  frames(isForced: boolean): readonly Frame[] {
    this.lookAtNodes()
    const { manager, clock, recorder } = this
    const now = manager.engine.lockers.flatMap((locker) => locker.scene(SCENE)).map(nowShown)
    if (!isForced && recorder.isEmpty && now.length === 0) return []
    const { nodes, ...counters } = manager.stats()
    const offsetMs = clock.wallMs() - clock.nowMs()
    const recorded = recorder.take((atMs) => tenths(atMs + offsetMs))
    const nodesShown = this.health?.nodes.map((node): NodeShown => {
      const { flights = 0, failed = 0 } = nodes[node.name] ?? {}
      return { ...node, flights, failed }
    })
    const [{ source }] = this.infos
    return [{ source, atMs: clock.wallMs(), now, ...recorded, counters, nodes: nodesShown, state: this.health?.state }]
  }

  private lookAtNodes(): void {
    const nowMs = this.clock.nowMs()
    if (nowMs - this.askedAtMs < HEALTH_EVERY_MS) return
    this.askedAtMs = nowMs
    this.manager.health().then(
      (health) => (this.health = health),
      () => (this.health = undefined),
    )
  }
}
