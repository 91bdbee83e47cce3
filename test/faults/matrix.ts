/** Plays the whole product hook x fault x transport, many cells at a time, and draws the table of what came of it. */
import type { MemcachedServer } from '../support/memcached-server.js'
import { type CellResult, playCell } from './cell.js'
import type { FaultKind } from './fault-kinds.js'
import type { HookKind } from './hooks.js'
import { LagMeter } from './lag-meter.js'
import { Rig, Truth } from './rig.js'
import { Roads, type Transport } from './transports.js'

export interface MatrixOptions {
  readonly transports: readonly Transport[]
  readonly hooks: readonly HookKind[]
  readonly faults: readonly FaultKind[]
}

/** Cells under way at a time. Those that start servers are few: a process that forks stands still for a while. */
const AT_ONCE = 24
const AT_ONCE_WITH_SERVERS = 5

interface Cell {
  readonly transport: Transport
  readonly hook: HookKind
  readonly fault: FaultKind
}

/** A server that the cells of one transport share, with its road past the proxies. */
interface Ground {
  readonly server: MemcachedServer
  readonly truth: Truth
}

/** How cells that came out odd, though not wrong, are played again before that counts: with longer deadlines. */
const REPLAYS = [
  { patience: 2, atOnce: 4 },
  { patience: 6, atOnce: 1 },
]

export const cellKey = (transport: string, hook: string, fault: string): string => `${transport} | ${hook} | ${fault}`

export class Matrix {
  readonly results = new Map<string, CellResult>()
  /** How many times a cell was played again that a busy machine may have made odd. */
  replayed = 0
  /** What was odd at first, whatever came of it when played again. */
  readonly oddities: string[] = []
  private readonly grounds = new Map<Transport, Ground>()
  /** Servers that belonged to one cell and may belong to the next. */
  private readonly idle: (Ground & { readonly transport: Transport })[] = []
  private plays = 0

  private constructor(
    private readonly options: MatrixOptions,
    private readonly roads: Roads,
    private readonly lag: LagMeter,
  ) {}

  static async play(options: MatrixOptions): Promise<Matrix> {
    await using roads = await Roads.prepare(options.transports)
    using lag = new LagMeter()
    const matrix = new Matrix(options, roads, lag)
    try {
      await matrix.playAll()
    } finally {
      for (const { server, truth } of [...matrix.grounds.values(), ...matrix.idle]) {
        await truth.close()
        await server.stop()
      }
    }
    return matrix
  }

  /** Every cell of the product, by its key. */
  get cells(): readonly string[] {
    return this.product().map((cell) => keyOf(cell))
  }

  private product(): Cell[] {
    const { transports, hooks, faults } = this.options
    return transports.flatMap((transport) =>
      hooks.flatMap((hook) => faults.map((fault) => ({ transport, hook, fault }))),
    )
  }

  private async playAll(): Promise<void> {
    for (const transport of this.options.transports) this.grounds.set(transport, await this.lay(transport))
    const all = this.product()
    let odd = [
      ...(await this.playSome(all.filter(({ fault }) => !fault.ownServer), AT_ONCE)),
      ...(await this.playSome(all.filter(({ fault }) => fault.ownServer), AT_ONCE_WITH_SERVERS)),
    ]
    for (const { patience, atOnce } of REPLAYS) {
      this.replayed += odd.length
      odd = await this.playSome(odd, atOnce, patience)
    }
  }

  /** Returns the odd ones. */
  private async playSome(cells: readonly Cell[], atOnce: number, patience = 1): Promise<Cell[]> {
    const waiting = [...cells]
    const odd: Cell[] = []
    const worker = async (): Promise<void> => {
      for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
        const result = await this.playOne(cell, patience)
        if (result.odd.length === 0 || result.wrong.length > 0) continue
        odd.push(cell)
        this.oddities.push(`${keyOf(cell)}: ${result.odd.join('; ')}`)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    return odd
  }

  private async playOne(cell: Cell, patience: number): Promise<CellResult> {
    const { transport, hook, fault } = cell
    const shared = fault.ownServer ? undefined : this.grounds.get(transport)
    const ground = shared ?? (await this.take(transport))
    const name = String(++this.plays)
    let result: CellResult
    try {
      const { leaseSec } = hook
      await using rig = await Rig.start({ roads: this.roads, transport, ...ground, name, leaseSec, patience })
      result = await playCell(rig, hook, fault, this.lag)
    } catch (error) {
      result = { verdict: 'none', tookMs: 0, wrong: [], odd: [`the cell could not be played: ${String(error)}`] }
    }
    if (shared === undefined) this.idle.push({ ...ground, transport })
    this.results.set(keyOf(cell), result)
    return result
  }

  /** A server that nobody else uses. */
  private async take(transport: Transport): Promise<Ground> {
    const at = this.idle.findIndex((ground) => ground.transport === transport && ground.server.running)
    const [ground] = at < 0 ? [] : this.idle.splice(at, 1)
    return ground ?? this.lay(transport)
  }

  private async lay(transport: Transport): Promise<Ground> {
    const server = await this.roads.startServer(transport)
    return { server, truth: new Truth(this.roads.savePath(transport, server.address)) }
  }
}

const keyOf = ({ transport, hook, fault }: Cell): string => cellKey(transport, hook.name, fault.name)
