/**
 * Debian's Postfix as a program of our own: every file of it (configuration, queue, log) in one temporary folder, on loopback
 * ports that we choose, in the foreground, so that it lives and dies with the test. Needs root, as Postfix does.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { acceptsConnections, until } from './wait.ts'

export interface PostfixOptions {
  /** Is made if absent and becomes mode 755: Postfix's own users must reach it, so its parents must be open too. */
  readonly directory: string
  readonly port: number
  /** Lines of main.cf beyond what is needed to stand alone. */
  readonly settings: Readonly<Record<string, string>>
  /** Put before the command line, to start it in a control group or a namespace. */
  readonly prefix?: readonly string[]
}

export interface Postfix {
  readonly port: number
  /** Text of its log so far. */
  log(): string
  /** Message ids in its queue: none when it has nothing left to do. */
  queued(): number
  stop(): Promise<void>
}

const startMsMax = 20_000

export async function startPostfix({ directory, port, settings, prefix = [] }: PostfixOptions): Promise<Postfix> {
  const config = join(directory, 'etc')
  const logFile = join(directory, 'postfix.log')
  mkdirSync(config, { recursive: true })
  chmodSync(directory, 0o755)
  for (const folder of ['queue', 'data']) mkdirSync(join(directory, folder), { recursive: true })
  const { uid, gid } = accountOf('postfix')
  chownSync(join(directory, 'data'), uid, gid)
  writeFileSync(join(config, 'main.cf'), mainCf(directory, settings))
  writeFileSync(join(config, 'master.cf'), masterCf(port))

  const [command, ...commandArguments] = [...prefix, 'postfix', '-c', config, 'start-fg']
  const process = spawn(command, commandArguments, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  process.stdout.on('data', (text: Buffer) => (output += text.toString()))
  process.stderr.on('data', (text: Buffer) => (output += text.toString()))
  await until(startMsMax, `Postfix did not answer on port ${port}`, () => {
    if (process.exitCode !== null)
      throw new Error(`Postfix ended with ${process.exitCode}: ${output}${readIfThere(logFile)}`)
    return acceptsConnections(port)
  })
  return {
    port,
    log: () => readIfThere(logFile),
    queued: () =>
      spawnSync('postqueue', ['-c', config, '-j'], { encoding: 'utf8' })
        .stdout.split('\n')
        .filter((line) => line !== '').length,
    stop: () => stop(process, config),
  }
}

/** `postfix stop` lets the daemons end by themselves; the master is ours to wait for. */
async function stop(process: ChildProcess, config: string): Promise<void> {
  const ended = new Promise((resolve) => process.once('exit', resolve))
  if (process.exitCode !== null || process.signalCode !== null) return
  spawnSync('postfix', ['-c', config, 'stop'], { stdio: 'ignore' })
  await ended
}

function mainCf(directory: string, settings: Readonly<Record<string, string>>): string {
  const alone = {
    compatibility_level: '3.6',
    queue_directory: join(directory, 'queue'),
    data_directory: join(directory, 'data'),
    maillog_file: join(directory, 'postfix.log'),
    maillog_file_prefixes: directory,
    multi_instance_enable: 'no',
    myhostname: 'postfix.test',
    mydestination: '',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    mynetworks: '127.0.0.0/8',
    alias_maps: '',
    alias_database: '',
  }
  return Object.entries({ ...alone, ...settings })
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}

/** Debian's services, none of them in a chroot. */
function masterCf(port: number): string {
  return `
127.0.0.1:${port} inet n - n - - smtpd
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
trace     unix  - - n -     0 bounce
verify    unix  - - n -     1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -     - proxymap
proxywrite unix - - n -     1 proxymap
smtp      unix  - - n -     - smtp
relay     unix  - - n -     - smtp
showq     unix  n - n -     - showq
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
local     unix  - n n -     - local
virtual   unix  - n n -     - virtual
anvil     unix  - - n -     1 anvil
scache    unix  - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
`.trimStart()
}

export function accountOf(user: string): { uid: number; gid: number } {
  const fields = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user)
  if (fields === undefined)
    throw new Error(`there is no user ${user}: install Debian's postfix package (apt-get install postfix)`)
  return { uid: Number(fields[2]), gid: Number(fields[3]) }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
