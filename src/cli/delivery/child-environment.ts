/**
 * Variables with secrets of this program, or with the way to one. A command that `listen --exec` runs is often an agent
 * that reads what strangers wrote: it must not find them.
 */
const secretNames =
  /^AIMESSAGE_\w*(?:PASSPHRASE|SECRET|TOKEN|INVITE|KEY)\w*$|^(?:ADMIN_TOKEN|METRICS_TOKEN|REDIS_URL)\w*$/i

/** Returns the environment for a command that handles a message. */
export const childEnvironment = (
  environment: NodeJS.ProcessEnv,
  message: { from: string; id: string },
): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(environment).filter(([name]) => !secretNames.test(name))),
  AIMESSAGE_FROM: message.from,
  AIMESSAGE_ID: message.id,
})
