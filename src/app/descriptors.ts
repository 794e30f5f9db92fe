/**
 * Connections that fit the process's limit of open files. At the limit Node accepts and silently closes, so our own cap has to answer 421 before it
 * is reached; deliveries and files keep their share, or a flood of clients would stop what lets it drain.
 */
import { readFileSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { descriptorsPerDeliverThread, descriptorsReserved } from './limits.ts'

/** The soft limit of this process; null where the system does not say. */
export function descriptorLimit(): number | null {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))
    return line === null || line[1] === 'unlimited' ? null : Number(line[1])
  } catch {
    return null
  }
}

/** The configuration with its connection caps lowered to what fits, and a warning when that was needed. */
export function fitDescriptors(
  config: Config,
  limit: number | null,
  deliverThreads = 0,
): { config: Config; warning: string | null } {
  const reserved = descriptorsReserved.value + deliverThreads * descriptorsPerDeliverThread.value
  // In the sandbox both ends of a delivery are ours.
  const out = config.delivery.connectionsMax * (config.sandbox ? 2 : 1)
  const wanted = config.smtp.connectionsMax + httpConnections(config) + out
  if (limit === null || wanted + reserved <= limit) return { config, warning: null }
  const share = Math.max(0, limit - reserved) / wanted
  const smtpMax = Math.max(10, Math.floor(config.smtp.connectionsMax * share))
  const httpMax = Math.max(10, Math.floor(config.http.connectionsMax * share))
  const deliveryMax = Math.max(10, Math.floor(config.delivery.connectionsMax * share))
  return {
    config: {
      ...config,
      smtp: { ...config.smtp, connectionsMax: smtpMax },
      http: { ...config.http, connectionsMax: httpMax },
      delivery: { ...config.delivery, connectionsMax: deliveryMax },
    },
    warning:
      `this process may open ${limit} files: connections are capped at ${smtpMax} in by SMTP, ${httpMax} by HTTP, and ${deliveryMax} out. ` +
      `Raise the limit (ulimit -n, LimitNOFILE=) to ${wanted + reserved} for what is configured.`,
  }
}

/** Without listeners there are none. */
export const httpConnections = ({ http }: Config): number => (http.listeners.length === 0 ? 0 : http.connectionsMax)
