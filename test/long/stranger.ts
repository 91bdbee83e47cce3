import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { inject } from 'vitest'

const run = promisify(execFile)

/** A stranger's project: begun by `npm init -y`, and latchkey installed into it from its tarball. */
export class Stranger implements AsyncDisposable {
  private constructor(readonly directory: string) {}

  /** @param packages as npm takes them: 'express@5', 'other-name@npm:typescript@5.4' */
  static async settle(...packages: string[]): Promise<Stranger> {
    const stranger = new Stranger(await mkdtemp(join(tmpdir(), 'latchkey-stranger-')))
    await stranger.npm('init', '-y')
    await stranger.npm('install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', inject('tarball'), ...packages)
    return stranger
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts)
  }

  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(this.path(name)), { recursive: true })
      await writeFile(this.path(name), text)
    }
  }

  npm(...args: string[]): Promise<string> {
    return this.run('npm', args)
  }

  /** What it printed. Rejects, with all that was printed, when it does not exit with 0. */
  async run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    try {
      const { stdout } = await run(command, args, { cwd: this.directory, env: { ...process.env, NODE_ENV: '', ...env } })
      return stdout
    } catch (error) {
      const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string }
      throw new Error(`${command} ${args.join(' ')}:\n${stdout}\n${stderr}`, { cause: error })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true })
  }
}
