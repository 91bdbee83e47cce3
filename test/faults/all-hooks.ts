import { EXPRESS_HOOKS } from './express-hooks.js'
import { CORE_HOOKS } from './hooks.js'

/** Every row of the matrix. */
export const HOOKS = [...CORE_HOOKS, ...EXPRESS_HOOKS]
