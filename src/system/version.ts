/**
 * The version in package.json. It is written down here, because the code also runs bundled, where package.json is not
 * where the code would look for it.
 */
export const VERSION = '0.1.0'
