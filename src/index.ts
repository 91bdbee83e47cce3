/**
 * Sessions that are locked from read to close: the manager, its sessions, PHP's hooks, and every error.
 *
 * @module latchkey
 */
export { SessionManager } from './session/session-manager.js'
export type { Health, HealthOptions, NodeHealth } from './session/health.js'
export type { ManagerStats } from './session/manager-stats.js'
export type { LocalLock } from './lock/session-locker.js'
export type { ListedSession, UnreadableSession } from './session/session-list.js'
export { SessionStore, type WriteOptions } from './session/session-store.js'
export type { LockedRecord, ReadOptions, RegenerateOptions } from './session/locked-record.js'
export type { Mutex, MutexOptions } from './mutex/mutex.js'
export type { MutexHold } from './mutex/mutex-hold.js'
export type { Session, StartOptions } from './session/session.js'
export type { SessionManagerOptions } from './session/options.js'
export type { PhpOptions, PhpSettings } from './session/dialect/php-options.js'
export type { EncryptionKey, EncryptionOptions } from './session/records/keyring.js'
export type { CompressionOptions } from './session/records/compression.js'
export { jsonSerializer, type Serializer } from './session/serializer.js'
export type { LostEvent } from './session/session-engine.js'
export type { WireWarning } from './wire/wire.js'
export type { SlowHoldEvent } from './session/slow-holds.js'
export type {
  AcquireEvent,
  CommitEvent,
  FencedEvent,
  FlightEvent,
  HandOffEvent,
  LostLockEvent,
  ObservedNode,
  ReleaseEvent,
  RenewEvent,
  WaitEvent,
} from './observe/channels.js'
export type { ObservedEvent, TimedEvent } from './observe/event-channel.js'
export * from './errors.js'
export type { Cas, Command, NodeStats, Probe, Receiver, Reply, Status, StoreTraits, Value, Wire } from './wire/wire.js'
export { FlightError } from './wire/wire.js'
export type { Clock, Timer } from './system/clock.js'
export type { Random } from './system/random.js'
