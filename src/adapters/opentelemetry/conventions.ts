import type { Attributes } from '@opentelemetry/api'
import type { FlightEvent, ObservedNode } from '../../observe/channels.js'

/**
 * Attributes of a flight by OpenTelemetry's conventions for databases:
 * https://opentelemetry.io/docs/specs/semconv/database/database-spans/
 *
 * A flight of several commands is a batch. Its name tells the command only where all are the same, and its size is
 * told only from two on, as the conventions have it.
 */
export function attributesOf({ operations, outcome }: FlightEvent, { system, address, port }: ObservedNode): Attributes {
  return {
    ...(system === undefined ? {} : { 'db.system.name': system }),
    'db.operation.name': operationOf(operations),
    ...(operations.length > 1 ? { 'db.operation.batch.size': operations.length } : {}),
    'server.address': address,
    ...(port === undefined ? {} : { 'server.port': port }),
    ...(outcome === undefined || outcome === 'ok' ? {} : { 'error.type': outcome }),
  }
}

/** `{operation} {target}`; the target is the server, since a store of sessions has neither tables nor databases. */
export const spanNameOf = ({ operations }: FlightEvent, { address, port }: ObservedNode): string =>
  `${operationOf(operations)} ${port === undefined ? address : `${address}:${String(port)}`}`

function operationOf(operations: readonly string[]): string {
  const [first = ''] = operations
  if (operations.length === 1) return nameOf(first)
  return operations.every((operation) => operation === first) ? `BATCH ${nameOf(first)}` : 'BATCH'
}

/** Compare-and-delete is a delete that names a version. */
const nameOf = (operation: string): string => (operation === 'cad' ? 'delete' : operation)
