/** The ground of the cells on disk: a directory for each, some of them on a small disk of their own. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOfProcesses } from '../../src/lock/protocol/key-layout.js'
import { systemClock } from '../../src/system/clock.js'
import { createFileWire } from '../../src/wire/file/file-wire.js'
import type { DiskFault } from './disk-faults.js'
import type { Ground } from './matrix.js'
import { managerFor, Rig, type RigOptions, Truth } from './rig.js'

/** A manager on a directory that is this cell's alone. */
export class DiskRig extends Rig {
  private constructor(
    options: RigOptions,
    readonly directory: string,
    truth: Truth,
  ) {
    super(options, managerFor(options, `file:${directory}?gcSec=0`), truth)
  }

  static async start(options: RigOptions, directory: string): Promise<DiskRig> {
    const settings = { directory, survives: 'process', maxMiB: undefined, gcSec: 0 } as const
    const truth = new Truth(createFileWire({ settings, clock: systemClock, flightMs: 10_000, isOfProcesses }))
    const rig = new DiskRig(options, directory, truth)
    await rig.prepare()
    return rig
  }

  /** The path of the file that all sessions are in. */
  get file(): string {
    return join(this.directory, 'sessions.db')
  }

  override async close(): Promise<void> {
    await super.close()
    await this.truth.close()
  }
}

/** Cells that start a process are few at a time. */
const AT_ONCE_WITH_PROCESSES = 4
const SMALL_DISK = 'size=2m,mode=700'

export class DiskGround implements Ground<DiskRig, DiskFault, 'file:'> {
  readonly roads = ['file:'] as const
  private readonly root = mkdtempSync(join(tmpdir(), 'latchkey-faults-'))
  private readonly mounted: string[] = []

  /** Whether this process may mount a disk, to fill it. */
  static canMount(): boolean {
    const ground = new DiskGround()
    try {
      ground.mount('tried')
      return true
    } catch {
      return false
    } finally {
      ground.clear()
    }
  }

  atOnce({ startsProcess, isAlone }: DiskFault): number | undefined {
    return isAlone ? 1 : startsProcess ? AT_ONCE_WITH_PROCESSES : undefined
  }

  rig(_road: 'file:', { isOnSmallDisk }: DiskFault, options: RigOptions): Promise<DiskRig> {
    const place = isOnSmallDisk ? this.mount(options.name) : this.make(options.name)
    return DiskRig.start(options, join(place, 'sessions'))
  }

  async close(): Promise<void> {
    this.clear()
  }

  private make(name: string): string {
    const place = join(this.root, name)
    mkdirSync(place)
    return place
  }

  private mount(name: string): string {
    const place = this.make(name)
    execFileSync('mount', ['-t', 'tmpfs', '-o', SMALL_DISK, 'tmpfs', place], { stdio: 'ignore' })
    this.mounted.push(place)
    return place
  }

  private clear(): void {
    for (const place of this.mounted) execFileSync('umount', ['-l', place])
    rmSync(this.root, { recursive: true, force: true })
  }
}
