/** PHP and Node on the same sessions at the same time. */
import type { SessionManagerOptions } from '../../src/index.js'
import { type Ini, PhpProcess } from './php.js'
import { type Counted, type CountJob, SessionProcess } from './session-process.js'

export interface Mixed {
  readonly ini: Ini
  readonly options: SessionManagerOptions
  readonly phpJob: Omit<CountJob, 'atOnce'>
  readonly nodeJob: CountJob
  readonly processes: number
}

export interface BothCounted {
  readonly php: readonly Counted[]
  readonly node: readonly Counted[]
}

/** So many processes of each do their job beside each other, and say what was acknowledged. */
export async function countTogether({ ini, options, phpJob, nodeJob, processes }: Mixed): Promise<BothCounted> {
  const nodes = await Promise.all(Array.from({ length: processes }, () => SessionProcess.start(options)))
  try {
    const phps = Array.from({ length: processes }, () => PhpProcess.count(phpJob, ini))
    const counting = nodes.map(async (one) => {
      const result = await one.call({ do: 'count', ...nodeJob })
      if ('code' in result) throw new Error(result.code)
      return result.value as Counted
    })
    const [node, php] = await Promise.all([Promise.all(counting), Promise.all(phps.map((one) => one.counted()))])
    return { node, php }
  } finally {
    await Promise.all(nodes.map((one) => one.kill()))
  }
}
