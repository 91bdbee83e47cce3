/**
 * Who decides on a session. Without a change of the list: a majority of its nodes. With one, its nodes by the old list and by the new
 * one, as far as the marks say that the change is. Each rule meets the one before and the one behind it: whoever goes by `old` or by
 * both has a majority of the old nodes, whoever goes by both or by `new` one of the new nodes, and nobody goes by `old` any more when the first
 * goes by `new`.
 */
import type { OurMark, ReadMark } from './member.js'
import { isCarried } from './lists.js'
import { isOurs } from './member.js'

export interface Council {
  isMajority(nodes: readonly number[]): boolean
  /** Whether what this node has, or does not have, says what there is. */
  knows(node: number): boolean
}

/** The places of a session's nodes by two lists. */
export interface Sides {
  readonly old: readonly number[]
  readonly new: readonly number[]
}

/** What nodes have said of themselves. */
export type Seen = readonly (readonly [number, { readonly mark: ReadMark | undefined }])[]

export const allNodes = (majority: number): Council => ({ isMajority: (nodes) => nodes.length >= majority, knows: () => true })

export function betweenLists(sides: Sides, majority: number, seen: Seen): Council {
  const marked = seen.flatMap(([node, { mark }]): (readonly [number, OurMark])[] => (isOurs(mark) ? [[node, mark]] : []))
  // A node that joins may have been left with any mark, when it was on the list earlier.
  const stages = marked.flatMap(([node, { stage }]) => (sides.old.includes(node) ? [stage] : []))
  const isMoved = stages.some(isCarried)
  const isOver = marked.filter(([node, { stage }]) => stage === 'new' && sides.new.includes(node)).length >= majority
  const groups = isMoved && isOver ? [sides.new] : isMoved || stages.includes('moving') ? [sides.old, sides.new] : [sides.old]
  const known = isMoved ? sides.new : sides.old
  return {
    isMajority: (nodes) => groups.every((group) => group.filter((node) => nodes.includes(node)).length >= majority),
    knows: (node) => known.includes(node),
  }
}
