/** Keeps the histories of the sessions under way, and reads and judges each when nobody writes to it any more. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isAdvice, isOfProcesses, markKeyOf } from '../src/lock/protocol/key-layout.js'
import { systemClock } from '../src/system/clock.js'
import { createRendezvous } from '../src/wire/memcached/rendezvous.js'
import { nodeId } from '../src/wire/memcached/save-path.js'
import { readSavePath } from '../src/wire/open-wire.js'
import type { Wire } from '../src/wire/wire.js'
import { serversOf } from '../test/support/servers.js'
import { type Restart, SessionHistory } from './history.js'
import { type FromWorker, nowMs, type Record as Stored } from './messages.js'

const READ_WITHIN_MS = 60_000

export interface Figures {
  operations: number
  acknowledged: number
  refused: number
  unknown: number
  /** Visits that got no session: locked for too long, or its server was away. */
  unserved: number
  /** The same, by what they were told: the code without its LATCHKEY_. */
  unservedBy: Record<string, number>
  sessions: number
  /** Sessions that went on under another id, with all that was acknowledged before. */
  renewed: number
  /** Acknowledged changes that had to be in their record, by nothing excused. */
  strict: number
  /** Acknowledged changes that went with a restarted server, or a session that was destroyed, renewed, or left to expire. */
  excused: number
}

export class Judge {
  readonly figures: Figures = {
    ...{ operations: 0, acknowledged: 0, refused: 0, unknown: 0, unserved: 0, unservedBy: {}, sessions: 0, renewed: 0, strict: 0, excused: 0 },
  }
  readonly violations: string[] = []
  private readonly histories = new Map<string, SessionHistory>()
  private readonly sessionOfOp = new Map<string, SessionHistory>()
  /** The sessions that go on for one, by its name; and the one that each goes on for. */
  private readonly heirs = new Map<string, string[]>()
  private readonly rootOf = new Map<string, string>()
  private readonly died = new Set<string>()
  private readonly wire: Wire
  private readonly ownerOf: (session: string) => number

  constructor(
    savePath: string,
    private readonly restartsOf: (server: number) => readonly Restart[],
  ) {
    this.wire = readSavePath(savePath).open({ clock: systemClock, flightMs: 2000, connections: 1, isOfProcesses, isAdvice, markKey: markKeyOf('sess:') })
    // Nobody restarts a disk, and Redis is one server.
    const servers = /^(?:file:|redis:)/.test(savePath) ? [] : serversOf(savePath)
    this.ownerOf = servers.length === 0 ? () => 0 : createRendezvous(servers.map((server) => ({ id: nodeId(server), weight: server.weight })))
  }

  hear(message: FromWorker, worker: string): void {
    switch (message.kind) {
      case 'begin': {
        const history = this.historyOf(message.session)
        this.figures.operations++
        history.begin(message)
        this.sessionOfOp.set(message.op, history)
        return
      }
      case 'end':
        this.figures[message.verdict]++
        this.sessionOfOp.get(message.op)?.end(message)
        this.sessionOfOp.delete(message.op)
        return
      case 'renewed':
        this.heirs.set(message.from, [...(this.heirs.get(message.from) ?? []), message.to])
        this.rootOf.set(message.to, message.from)
        this.historyOf(message.to).inherit(message.ops, message.atMs)
        this.figures.renewed++
        return
      case 'unserved':
        this.figures.unserved++
        this.figures.unservedBy[message.code] = (this.figures.unservedBy[message.code] ?? 0) + 1
        return
      case 'bug':
        this.violations.push(`${worker}: ${message.text}`)
        return
      case 'ready':
    }
  }

  onDied(worker: string): void {
    this.died.add(worker)
    for (const history of this.histories.values()) history.orphan(worker)
    for (const op of [...this.sessionOfOp.keys()]) if (op.startsWith(`${worker}-`)) this.sessionOfOp.delete(op)
  }

  /** Judges these sessions; waits until whoever still writes to them has ended. */
  async judge(sessions: readonly string[]): Promise<void> {
    for (const session of sessions.flatMap((name) => [name, ...(this.heirs.get(name) ?? [])])) {
      const history = this.histories.get(session)
      if (history === undefined) continue
      while (history.isOpen) await sleep(100)
      const found = await this.read(session)
      const { violations, strict, excused } = history.judge(found, this.restartsOf(this.ownerOf(session)), (op) =>
        this.died.has(op.slice(0, op.lastIndexOf('-'))),
      )
      this.figures.sessions++
      this.figures.strict += strict
      this.figures.excused += excused
      this.violations.push(...violations.map((text) => `${session}: ${text}`))
      this.histories.delete(session)
      this.heirs.delete(session)
      this.rootOf.delete(session)
    }
  }

  close(): Promise<void> {
    return this.wire.close()
  }

  /**
   * However long its server is away, or the copy of a retired session, which is no JSON, stands there: some seconds.
   *
   * @throws Error where it cannot be read for a minute: then none can, and nothing is shown.
   */
  private async read(session: string): Promise<readonly string[]> {
    const untilMs = nowMs() + READ_WITHIN_MS
    for (;;) {
      try {
        const [reply] = await this.wire.flight(session, [{ op: 'get', key: `sess:${session}` }])
        const text = reply?.value?.toString() ?? ''
        if (text === '') return []
        const record = JSON.parse(text) as Stored
        if (record.of !== (this.rootOf.get(session) ?? session)) this.violations.push(`${session} holds the record of ${record.of}`)
        return record.ops
      } catch (error) {
        if (nowMs() > untilMs) throw new Error(`${session} cannot be read for ${String(READ_WITHIN_MS)} ms`, { cause: error })
        await sleep(100)
      }
    }
  }

  private historyOf(session: string): SessionHistory {
    let history = this.histories.get(session)
    if (history === undefined) this.histories.set(session, (history = new SessionHistory()))
    return history
  }
}
