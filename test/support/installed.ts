import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Debian keeps daemons where not every user's PATH leads. */
const PLACES = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']

/** Whether this machine has a program of that name. */
export const isInstalled = (program: string): boolean =>
  PLACES.some((place) => {
    try {
      accessSync(join(place, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** What the name of a test that needs it says where it is skipped. */
export const lacking = (program: string): string => (isInstalled(program) ? '' : ` (skipped: ${program} is not installed)`)
