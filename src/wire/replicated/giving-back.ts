import type { Command } from '../wire.js'
import { ask } from './flight.js'
import type { Ballot } from './judge.js'
import type { Member } from './member.js'
import type { Question } from './round.js'
import type { ReplicaSet } from './set.js'

export interface GivenBack {
  readonly set: ReplicaSet
  readonly route: string
  readonly lockKey: string
  readonly votes: readonly (readonly [number, Ballot])[]
  /** Told of nodes that may keep it still. */
  readonly lost: (member: Member) => void
  readonly then: () => void
}

/** Lets go of what was granted in vain. */
export function giveBack({ set, route, lockKey, votes, lost, then }: GivenBack): void {
  const mine = new Map(votes.flatMap(([node, { lock }]) => (lock.status === 'ok' && lock.cas !== undefined ? [[node, lock.cas] as const] : [])))
  if (mine.size === 0) return then()
  const members = set.members.filter(({ index }) => mine.has(index))
  const returning: Question<object> = {
    route,
    commandsFor: ({ index }): readonly Command[] => {
      const cas = mine.get(index)
      return cas === undefined ? [] : [{ op: 'cad', key: lockKey, cas }]
    },
    hear: () => ({}),
    stateOf: () => 'enough',
    // Its version may be too old to be sent by now, behind a proxy, where another node kept all waiting: it is read again.
    lost,
    done: then,
  }
  ask(set, returning, members)
}
