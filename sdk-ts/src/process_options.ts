// What callers may say about a process to be started, and how that is written for the server.

import { ExecError, unsupported } from "./errors.js";
import type { CapabilityFlag } from "./generated/constants.js";
import type { EnvInherit, EnvPolicy, ProcessStartParams, PtySize } from "./generated/types.js";
import type { Paths } from "./paths.js";
import type { Session } from "./rpc/session.js";

/** What the wire knows beyond what {@link StartOptions} spells differently; each member is documented there. */
type Passed = Pick<
  ProcessStartParams,
  | "arg0"
  | "sandbox"
  | "enforceManagedNetwork"
  | "managedNetwork"
  | "networkProxy"
  | "shellSnapshot"
  | "metadata"
  | "output"
  | "timeoutMs"
  | "limits"
>;

/** A process to be started. */
export interface StartOptions extends Passed {
  /** Program and arguments; no shell is involved. A program without a slash is searched in the child's own `PATH`. */
  readonly argv: readonly string[];
  /** Working directory, native or as a `file:` URI. Default: the server's own. */
  readonly cwd?: string;
  /** Variables that are laid over what is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * What the process inherits of the server's environment: `core`, the default, is `HOME`, `PATH`, `SHELL` and the like;
   * `all` leaves out only what looks like a credential; `none` is nothing. Or a whole policy.
   */
  readonly inheritEnv?: EnvInherit | EnvPolicy;
  /** Run on a terminal: one stream, echo, line discipline. A size needs the flag `processResize`. */
  readonly tty?: boolean | PtySize;
  /** `pipe`: stdin is written by the handle. `none`, the default: it is empty. A terminal always has one. */
  readonly stdin?: "pipe" | "none";
  /** Names the process within its session. Default: a new random id. */
  readonly processId?: string;
}

const PASSED = [
  "arg0",
  "sandbox",
  "enforceManagedNetwork",
  "managedNetwork",
  "networkProxy",
  "shellSnapshot",
  "metadata",
  "output",
  "timeoutMs",
  "limits",
] as const satisfies readonly (keyof Passed)[];

function envPolicy(inherit: EnvInherit | EnvPolicy): EnvPolicy {
  if (typeof inherit === "object") return inherit;
  return { inherit, ignoreDefaultExcludes: false, exclude: [], set: {}, includeOnly: [] };
}

/** What is sent for `options`. Throws what is wrong with them, as far as that can be told from here. */
export function startParams(options: StartOptions, session: Session, paths: Paths): ProcessStartParams {
  const { argv, env = {}, tty = false, stdin = "none", processId = crypto.randomUUID() } = options;
  if (!Array.isArray(argv) || argv.length === 0 || !argv.every((word) => typeof word === "string")) {
    throw new ExecError("invalidArgument", "argv is no list of texts, or empty", {
      hint: 'pass program and arguments, for example ["sh", "-c", "ls"]',
    });
  }
  const cwd = options.cwd === undefined ? session.peer.environment.cwd : paths.uri(options.cwd);
  if (cwd === undefined) {
    throw new ExecError("invalidArgument", "the server does not tell its working directory", {
      hint: "pass an absolute cwd",
    });
  }
  const passed = Object.fromEntries(
    PASSED.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  ) as Partial<Passed>;
  const params: ProcessStartParams = {
    processId,
    argv,
    cwd,
    env,
    tty: tty !== false,
    envPolicy: envPolicy(options.inheritEnv ?? "core"),
    ...(stdin === "pipe" && { pipeStdin: true }),
    ...(typeof tty === "object" && { size: tty }),
    ...passed,
    ...(session.supports("idempotentRequests") && { requestKey: crypto.randomUUID() }),
  };
  // Whatever the server would ignore is refused here.
  const needs: ReadonlyArray<readonly [unknown, CapabilityFlag]> = [
    [params.output, "outputBudget"],
    [params.size, "processResize"],
    [params.timeoutMs, "processTimeout"],
    [params.limits, "processLimits"],
    [params.networkProxy, "networkProxyLaunch"],
  ];
  for (const [asked, flag] of needs)
    if (asked !== undefined && !session.supports(flag)) throw unsupported(flag);
  return params;
}
