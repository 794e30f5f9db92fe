/**
 * Two mail filters that know nothing of us, rspamd and SpamAssassin as Debian packages them, say what they see in a message. Each runs in a
 * network and process namespace of its own: there is no network but loopback, and nothing of it outlives the test. Needs root.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { until } from '../../support/wait.ts'

export interface Judge {
  /** Names of the rules that the message met, sorted. */
  judge(message: Buffer): Promise<string[]>
  stop(): Promise<void>
}

const startMsMax = 60_000
const answerMsMax = 60_000

/**
 * Debian's configuration, its rules and scores, with what needs a network turned off. A list of top-level domains of our own, because compiling
 * the real one takes ten seconds.
 */
export async function startRspamd(directory: string): Promise<Judge> {
  const local = join(directory, 'local')
  mkdirSync(local, { recursive: true })
  const [socketPath, logFile] = [join(directory, 'scan.sock'), join(directory, 'rspamd.log')]
  const config = join(directory, 'rspamd.conf')
  writeFileSync(config, rspamdConfig(socketPath, logFile))
  writeFileSync(join(directory, 'tld.dat'), 'com\nnet\norg\n')
  writeFileSync(join(local, 'options.inc'), rspamdOptions(directory))
  const networked = ['rbl', 'surbl', 'asn', 'mx_check', 'phishing', 'spf', 'dmarc', 'hfilter', 'rspamd_update']
  const off = networked.map((module) => `${module} { enabled = false; }\n`).join('')
  writeFileSync(join(local, 'rspamd.conf.local.override'), off)
  const variables = { DBDIR: directory, RUNDIR: directory, LOGDIR: directory, LOCAL_CONFDIR: local }
  const settings = Object.entries(variables).flatMap(([name, value]) => ['--var', `${name}=${value}`])
  const stop = await startAlone(
    ['rspamd', '--no-fork', '--insecure', '-c', config, ...settings],
    async () => (await answerOf(socketPath, '/ping', Buffer.alloc(0))).startsWith('pong'),
    () => readIfThere(logFile),
  )
  return {
    judge: async (message) => {
      const answer = JSON.parse(await answerOf(socketPath, '/checkv2', message)) as { symbols: Record<string, unknown> }
      return Object.keys(answer.symbols).sort()
    },
    stop,
  }
}

const rspamdConfig = (socketPath: string, logFile: string): string => `
.include "$CONFDIR/common.conf"
options {
  .include "$CONFDIR/options.inc"
  .include(priority=10) "$LOCAL_CONFDIR/options.inc"
}
logging { type = "file"; filename = "${logFile}"; level = "warning"; }
worker "normal" { bind_socket = "${socketPath} mode=0600"; count = 1; mime = true; }
`

const rspamdOptions = (directory: string): string => `
pidfile = "${directory}/rspamd.pid";
filters = "chartable,dkim,regexp";
dns { nameserver = ["127.0.0.1"]; timeout = 0.05; retransmits = 1; }
disable_hyperscan = true;
url_tld = "${directory}/tld.dat";
`

/** An HTTP request over the socket; a body makes it a POST. */
function answerOf(socketPath: string, path: string, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const method = body.length === 0 ? 'GET' : 'POST'
    const headers = { 'content-length': body.length, from: 'ann@example.com', rcpt: 'ben@example.net', ip: '192.0.2.1' }
    const asked = request({ socketPath, path, method, headers, timeout: answerMsMax }, (answer) => {
      let text = ''
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()))
      answer.on('error', reject)
      answer.on('end', () => resolve(text))
    })
    asked.on('timeout', () => asked.destroy(new Error('rspamd does not answer')))
    asked.on('error', reject)
    asked.end(body)
  })
}

/** Debian's rules without those that ask the network. Rules named in `watched` run even where Debian gives them a score of 0, which turns them off. */
export async function startSpamAssassin(directory: string, watched: readonly string[]): Promise<Judge> {
  mkdirSync(directory, { recursive: true })
  const [socketPath, logFile] = [join(directory, 'spamd.sock'), join(directory, 'spamd.log')]
  const scores = watched.map((rule) => `--cf=score ${rule} 0.1`)
  const places = [`--socketpath=${socketPath}`, `--pidfile=${directory}/spamd.pid`, `--syslog=${logFile}`]
  const children = ['--max-children=2', '--min-children=2']
  const stop = await startAlone(
    ['spamd', '--local', '--nouser-config', '--username=nobody', ...children, ...places, ...scores],
    async () => (await spamdAnswer(socketPath, 'PING SPAMC/1.5\r\n\r\n')).includes('PONG'),
    () => readIfThere(logFile),
  )
  return {
    judge: async (message) => {
      const answer = await spamdAnswer(
        socketPath,
        `SYMBOLS SPAMC/1.5\r\nContent-length: ${message.length}\r\n\r\n`,
        message,
      )
      if (!answer.startsWith('SPAMD/1.1 0 EX_OK')) throw new Error(`spamd said: ${answer.slice(0, 200)}`)
      const symbols = answer.slice(answer.indexOf('\r\n\r\n') + 4).trim()
      return symbols === '' ? [] : symbols.split(',').sort()
    },
    stop,
  }
}

/** One question per connection; the answer ends with it. */
function spamdAnswer(socketPath: string, question: string, message: Buffer = Buffer.alloc(0)): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath)
    let text = ''
    socket.setTimeout(answerMsMax, () => socket.destroy(new Error('spamd does not answer')))
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
    socket.end(Buffer.concat([Buffer.from(question), message]))
  })
}

/** Starts a server that stays in the foreground, and settles once it answers. Its namespace ends with it, so its children do too. */
async function startAlone(
  commandLine: readonly string[],
  answers: () => Promise<boolean>,
  log: () => string,
): Promise<() => Promise<void>> {
  // The shell stays: a server that becomes another user would forget that it must not outlive its parent.
  const inside = ['sh', '-c', 'ip link set lo up && "$@"; exit $?', 'sh', ...commandLine]
  const server = spawn('unshare', ['--net', '--pid', '--fork', '--kill-child', ...inside], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  server.stdout.on('data', (text: Buffer) => (output += text.toString()))
  server.stderr.on('data', (text: Buffer) => (output += text.toString()))
  let spawnError: Error | null = null
  server.on('error', (error) => (spawnError = error))
  const stop = (): Promise<void> => killed(server)
  try {
    await until(startMsMax, `${commandLine[0]} did not answer`, () => {
      if (spawnError !== null) throw spawnError
      if (server.exitCode !== null)
        throw new Error(
          `${commandLine[0]} ended with ${server.exitCode}; is Debian's package of that name installed? It said:\n${output}${log()}`,
        )
      return answers().catch(() => false)
    })
  } catch (error) {
    await stop()
    throw error
  }
  return stop
}

async function killed(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return
  const ended = once(server, 'exit')
  server.kill('SIGKILL')
  await ended
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
