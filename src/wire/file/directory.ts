/** The directory of a store: only its owner may write there, and it must be on a disk of this machine. */
import { existsSync, mkdirSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { UnsupportedStoreError } from '../wire.js'

/** Write permission of the group or of everybody. */
const OTHERS_WRITE = 0o022

/** File systems of other machines, by Linux's numbers of them (statfs(2)): the memory that WAL shares does not reach there. */
const NETWORK: Readonly<Record<number, string>> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB 2',
  0x5346414f: 'AFS',
  0x00c36400: 'Ceph',
  0x0bd00bd0: 'Lustre',
  0x01161970: 'GFS2',
  0x7461636f: 'OCFS2',
  0x01021997: '9P',
}
/** Behind it may be a disk (a container's) or another machine (sshfs). */
const FUSE = 0x65735546
const KNOWN: Readonly<Record<number, string>> = {
  ...NETWORK,
  [FUSE]: 'FUSE',
  0xef53: 'ext4',
  0x58465342: 'XFS',
  0x9123683e: 'Btrfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
  0x2fc12fc1: 'ZFS',
}

const hasModes = process.platform !== 'win32'

/** Whether somebody else may write there. */
export const areOthersWriting = ({ mode }: { readonly mode: number }): boolean => hasModes && (mode & OTHERS_WRITE) !== 0

/** Makes the directory, and those above it, for its owner alone. */
export function makeDirectory(directory: string): void {
  // One by one: mkdir's own `recursive` never ends where the system has no such directory and makes none, in /proc say.
  if (existsSync(directory)) return
  makeDirectory(dirname(directory))
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    // Another process was first.
    if (!existsSync(directory)) throw error
  }
}

/**
 * @throws {UnsupportedStoreError} others can write there, or it is on another machine: no lock would be safe.
 * @throws the system's error where there is no such directory.
 */
export function checkDirectory(directory: string): void {
  const found = statSync(directory)
  if (!found.isDirectory()) throw new UnsupportedStoreError(`${directory} is not a directory. Name one in the save path`)
  if (areOthersWriting(found)) {
    throw new UnsupportedStoreError(
      `Other users can write to ${directory}, and could put their own sessions there. Take their permission: chmod 700 ${directory}`,
    )
  }
  if (hasModes && process.getuid !== undefined && found.uid !== process.getuid() && process.getuid() !== 0) {
    throw new UnsupportedStoreError(
      `${directory} belongs to another user (uid ${String(found.uid)}). Run all processes that share sessions as one user, who owns it`,
    )
  }
  const network = directory.startsWith('\\\\') ? 'a network share' : NETWORK[fileSystemNumber(directory) ?? 0]
  if (network === undefined) return
  throw new UnsupportedStoreError(
    `${directory} is on ${network}, and SQLite cannot lock files there. Name a directory on a disk of this machine, or keep sessions on a server`,
  )
}

/** What an operator should know of the file system; undefined where it is fine, or nothing is known of it. */
export const isDoubtful = (directory: string): boolean => fileSystemNumber(directory) === FUSE

/** By its name, where we know one. */
export function fileSystemOf(directory: string): string | undefined {
  const number = fileSystemNumber(directory)
  return number === undefined ? undefined : (KNOWN[number] ?? `0x${number.toString(16)}`)
}

/** Free bytes of the disk, for who is not its administrator. */
export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

/** Other systems number them otherwise. */
function fileSystemNumber(directory: string): number | undefined {
  if (process.platform !== 'linux') return undefined
  // Numbers over 31 bits may come as negative ones.
  return statfsSync(directory).type >>> 0
}
