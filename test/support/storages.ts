import { AsyncResource } from 'node:async_hooks'

/**
 * How many AsyncLocalStorages Node hands on to each promise and callback that the process makes; 0 where Node's version
 * does not show that.
 */
export const carriedStorages = (): number => Object.getOwnPropertySymbols(new AsyncResource('counted')).length
