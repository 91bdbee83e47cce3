import { AsyncResource } from 'node:async_hooks'

/** How many storages Node carries to each promise and callback that the process makes; 0 where Node counts them not so. */
export const carriedStorages = (): number => Object.getOwnPropertySymbols(new AsyncResource('counted')).length
