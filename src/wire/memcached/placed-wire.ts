/** A wire to several servers that another product's clients use as well: each command goes to the node of its key. */
import { cycleByFlights, startCommands } from '../cycle.js'
import { legsOf, sendLegs } from '../legs.js'
import type { Placement } from '../placement.js'
import { type Command, failLater, FlightError, promised, type Receiver, type Wire } from '../wire.js'
import type { ServerNode } from '../socket/node.js'
import { maxValueBytes } from './item-size.js'

/** What the wire without a placement does for one node. */
export interface PlacedNode {
  readonly node: ServerNode
  /** Why these commands must not be sent. */
  readonly problemOf: (commands: readonly Command[]) => string | undefined
}

type Present<T> = { [K in keyof T]-?: Exclude<T[K], undefined> }
type Placing = Present<Pick<Wire, 'flight' | 'send' | 'startCycle' | 'nodeOf' | 'maxValueBytes'>>

/** @param ring the index of the node that keeps what has this hashed part. */
export function placedOn(nodes: readonly PlacedNode[], placement: Placement, ring: (hashedPart: string) => number): Placing {
  const indexOf = (key: string): number => ring(placement.hashedPart(key))
  const at = (index: number): PlacedNode => {
    const node = nodes[index]
    if (node === undefined) throw new RangeError('no such server')
    return node
  }

  function send(_route: string, commands: readonly Command[], receiver: Receiver): void {
    const legs = legsOf(commands, indexOf)
    const problem = legs.map((leg) => at(leg.node).problemOf(leg.commands)).find((one) => one !== undefined)
    if (problem !== undefined) failLater(receiver, new FlightError('not-sent', problem))
    else sendLegs(legs, (leg, told) => at(leg.node).node.send(leg.commands, told), receiver)
  }

  return {
    flight: (route, commands) => promised((told) => send(route, commands, told)),
    send,
    startCycle(route, start) {
      const index = indexOf(start.lockKey)
      if (index !== indexOf(start.recordKey)) return cycleByFlights((commands, told) => send(route, commands, told), start)
      const { node, problemOf } = at(index)
      return node.start(start, problemOf(startCommands(start)))
    },
    nodeOf: (route) => at(ring(placement.hashedPartOf(route))).node.observed,
    maxValueBytes: (_route, key) => maxValueBytes(at(indexOf(key)).node, key),
  }
}
