import type { Door, DoorOwner, Neighbours } from './neighbours.js'
import type { PostNeighbours } from './post-neighbours.js'

/** Opens a door on this host, and one that processes of other hosts find, under one address where there are both. */
export function openDoors(owner: DoorOwner, here: Neighbours | undefined, abroad: PostNeighbours | undefined): Door {
  let address: string | undefined
  const onOpen = (opened: string): void => {
    if (address === undefined) owner.onOpen(opened)
    address = opened
  }
  const both: DoorOwner = { onOpen, onCaller: (link) => owner.onCaller(link) }
  // The first says its address at once.
  const doors = [here?.open(both), abroad?.open(both, address)]
  return {
    close() {
      for (const door of doors) door?.close()
    },
  }
}
