/** Clicks on replicated sessions while something happens to their nodes, and what came of them. */
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { expect } from 'vitest'
import { LagMeter } from '../faults/lag-meter.js'
import type { Clicks, Judged } from './clicks.js'
import { until } from './until.js'

export interface Played {
  readonly savePath: string
  readonly options: SessionManagerOptions
  readonly clicks: Clicks
  /** At each manager. Default: each session is one client's, who goes to any of them. */
  readonly clients?: number
  /** Default 2. */
  readonly managers?: number
  /** What happens, once there have been `atFirst` clicks. */
  readonly play: (scene: Scene) => Promise<void>
  readonly atFirst: number
  /** When nobody clicks any more, before the managers are closed. */
  readonly afterwards?: (manager: SessionManager) => Promise<void>
}

export interface Scene {
  readonly managers: readonly SessionManager[]
  /** Resolves when all nodes answer all managers. */
  readonly areBack: () => Promise<void>
}

export interface Told extends Judged {
  readonly acknowledged: number
  readonly longestGapMs: number
  readonly codes: readonly string[]
}

export const allUp = async (manager: SessionManager): Promise<boolean> => (await manager.health()).nodes.every(({ isUp }) => isUp)

export async function played({ savePath, options, clicks, clients, managers: count = 2, play, atFirst, afterwards }: Played): Promise<Told> {
  using lag = new LagMeter()
  const fromMs = performance.now()
  const managers = Array.from({ length: count }, () => new SessionManager({ savePath, ...options }))
  const areBack = (): Promise<void> => until('all nodes are back', async () => (await Promise.all(managers.map(allUp))).every(Boolean))
  const scene = async (): Promise<void> => {
    await clicks.acknowledgeMore(atFirst)
    await play({ managers, areBack })
  }
  await (clients === undefined ? clicks.duringVisits(managers, scene) : clicks.during(managers, clients, scene))
  for (const manager of managers) await afterwards?.(manager)
  await Promise.all(managers.map((manager) => manager.close({ graceMs: 0 })))
  // Whoever judges has time, however busy the machine is.
  const manager = new SessionManager({ savePath, deadlineMs: 30_000 })
  const judged = await clicks.judge(manager)
  await manager.close()
  expect(clicks.strangers).toEqual([])
  expect(judged.tooMany).toBe(0)
  const longestGapMs = Math.max(0, clicks.longestGapMs - lag.between(fromMs, performance.now()))
  return { ...judged, acknowledged: clicks.acknowledged, longestGapMs, codes: [...clicks.codes.keys()].sort() }
}
