/** Plays the whole product hook x fault x road to the store, many cells at a time. */
import { type CellResult, playCell, type Trouble } from './cell.js'
import type { HookKind } from './hooks.js'
import { LagMeter } from './lag-meter.js'
import type { Rig, RigOptions } from './rig.js'

/** Where cells are played. */
export interface Ground<R extends Rig, F extends Trouble<R> = Trouble<R>, Road extends string = string> {
  /** The ways to the store. */
  readonly roads: readonly Road[]
  /** How many cells of a fault may be under way at a time; undefined: as many as of any. */
  atOnce(fault: F): number | undefined
  rig(road: Road, fault: F, options: RigOptions): Promise<R>
  /** Ends what the cells had in common. */
  close(): Promise<void>
}

export interface MatrixOptions<R extends Rig, F extends Trouble<R>, Road extends string> {
  readonly ground: Ground<R, F, Road>
  readonly hooks: readonly HookKind[]
  readonly faults: readonly F[]
}

/** Cells under way at a time. */
const AT_ONCE = 24

interface Cell<F, Road> {
  readonly road: Road
  readonly hook: HookKind
  readonly fault: F
}

/** How cells that came out odd, though not wrong, are played again before that counts: with longer deadlines. */
const REPLAYS = [
  { patience: 2, atOnce: 4 },
  { patience: 6, atOnce: 1 },
  { patience: 12, atOnce: 1 },
]

export const cellKey = (road: string, hook: string, fault: string): string => `${road} | ${hook} | ${fault}`

export class Matrix<R extends Rig, F extends Trouble<R>, Road extends string> {
  readonly results = new Map<string, CellResult>()
  /** How many times a cell was played again that a busy machine may have made odd. */
  replayed = 0
  /** What was odd at first, whatever came of it when played again. */
  readonly oddities: string[] = []
  private plays = 0

  private constructor(
    private readonly options: MatrixOptions<R, F, Road>,
    private readonly lag: LagMeter,
  ) {}

  static async play<R extends Rig, F extends Trouble<R>, Road extends string>(options: MatrixOptions<R, F, Road>): Promise<Matrix<R, F, Road>> {
    using lag = new LagMeter()
    const matrix = new Matrix(options, lag)
    try {
      await matrix.playAll()
    } finally {
      await options.ground.close()
    }
    return matrix
  }

  /** Every cell of the product, by its key. */
  get cells(): readonly string[] {
    return this.product().map((cell) => keyOf(cell))
  }

  private product(): Cell<F, Road>[] {
    const { ground, hooks, faults } = this.options
    return ground.roads.flatMap((road) => hooks.flatMap((hook) => faults.map((fault) => ({ road, hook, fault }))))
  }

  private async playAll(): Promise<void> {
    const byPace = new Map<number, Cell<F, Road>[]>()
    for (const cell of this.product()) {
      const atOnce = this.options.ground.atOnce(cell.fault) ?? AT_ONCE
      byPace.set(atOnce, [...(byPace.get(atOnce) ?? []), cell])
    }
    let odd: Cell<F, Road>[] = []
    for (const [atOnce, cells] of byPace) odd.push(...(await this.playSome(cells, atOnce)))
    for (const { patience, atOnce } of REPLAYS) {
      this.replayed += odd.length
      odd = await this.playSome(odd, atOnce, patience)
    }
  }

  /** Returns the odd ones. */
  private async playSome(cells: readonly Cell<F, Road>[], atOnce: number, patience = 1): Promise<Cell<F, Road>[]> {
    const waiting = [...cells]
    const odd: Cell<F, Road>[] = []
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

  private async playOne(cell: Cell<F, Road>, patience: number): Promise<CellResult> {
    const { road, hook, fault } = cell
    const name = String(++this.plays)
    let rig: R | undefined
    let result: CellResult
    try {
      rig = await this.options.ground.rig(road, fault, { name, leaseSec: hook.leaseSec, patience })
      result = await playCell(rig, hook, fault, this.lag)
    } catch (error) {
      result = { verdict: 'none', tookMs: 0, wrong: [], odd: [`the cell could not be played: ${String(error)}`] }
    } finally {
      await rig?.close()
    }
    this.results.set(keyOf(cell), result)
    return result
  }
}

const keyOf = <F extends { readonly name: string }>({ road, hook, fault }: Cell<F, string>): string => cellKey(road, hook.name, fault.name)
