import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { endingWithParent } from '../tools/processes.ts'

/** The version of which the proofs are known. Another one may be installed. */
export const claudeCode = { title: 'Claude Code', package: '@anthropic-ai/claude-code', version: '2.1.332' }

/** No key of a person: the scripted model takes any. */
const dummyKey = 'sk-ant-none-00000000000000'

/** Claude Code as installed in `directory`, with a home and a project of its own. */
export class ClaudeCode {
  readonly #program: string
  readonly #home: string
  readonly #project: string
  readonly #modelUrl: string

  private constructor(options: { program: string; home: string; project: string; modelUrl: string }) {
    this.#program = options.program
    this.#home = options.home
    this.#project = options.project
    this.#modelUrl = options.modelUrl
  }

  static programIn(directory: string): string | undefined {
    const program = join(directory, 'node_modules/.bin/claude')
    return existsSync(program) ? program : undefined
  }

  /** @param mcpServers as in `.mcp.json` */
  static async setUp(options: {
    program: string
    home: string
    modelUrl: string
    mcpServers: Record<string, object>
  }): Promise<ClaudeCode> {
    const { program, home, modelUrl, mcpServers } = options
    const project = join(home, 'project')
    await mkdir(project, { recursive: true })
    const settings = {
      hasCompletedOnboarding: true,
      customApiKeyResponses: { approved: [dummyKey.slice(-20)], rejected: [] },
      projects: { [project]: { hasTrustDialogAccepted: true, hasCompletedProjectOnboarding: true } },
    }
    await writeFile(join(home, '.claude.json'), JSON.stringify(settings))
    await writeFile(join(project, '.mcp.json'), JSON.stringify({ mcpServers }))
    return new ClaudeCode({ program, home, project, modelUrl })
  }

  version(): string {
    const { stdout } = spawnSync(this.#program, ['--version'], { env: this.#env(), encoding: 'utf8' })
    return stdout.trim()
  }

  /** Runs one prompt without a terminal, until the session ends. */
  async prompt(text: string, { timeoutMs }: { timeoutMs: number }): Promise<{ code: number | null; output: string }> {
    const args = ['-p', text, '--mcp-config', '.mcp.json', '--strict-mcp-config', '--allowedTools', 'mcp__aimessage']
    const [command, allArgs] = endingWithParent(this.#program, args)
    const child = spawn(command, allArgs, {
      cwd: this.#project,
      env: this.#env(),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', part => (output += part))
    await once(child, 'close')
    return { code: child.exitCode, output }
  }

  #env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: this.#home,
      ANTHROPIC_BASE_URL: this.#modelUrl,
      ANTHROPIC_API_KEY: dummyKey,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_TELEMETRY: '1',
      DISABLE_ERROR_REPORTING: '1',
      DISABLE_AUTOUPDATER: '1',
      IS_SANDBOX: '1',
    }
  }
}
