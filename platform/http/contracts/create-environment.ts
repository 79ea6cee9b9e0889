import { z } from "zod";
import { MIN_TTL } from "../../domain/environment/lifetime.ts";
import { MAX_PIDS_EACH } from "../../domain/access/quota.ts";
import { isMaskable, MIN_SECRET_LENGTH, tooMuchToMask } from "../../domain/secret-masking.ts";

const MAX_NAME = 64;
const MAX_ENV_VALUE = 32_768;
const MAX_VARIABLES = 100;
const MAX_ARGUMENTS = 128;
const RESERVED = new Set(["ENV_ID", "PORT"]);

/** Bounds that depend on the configuration and the machine. */
export type CreateLimits = { maxTtl: number; maxCpus: number; maxMemoryMb: number };

export type CreateBody = z.infer<ReturnType<typeof createEnvironmentSchema>>;

const withoutNul = z.string().refine((value) => !value.includes("\0"), "must not contain a NUL character");

const secretValue = withoutNul
  .max(MAX_ENV_VALUE)
  .refine(
    isMaskable,
    `must have a line of at least ${MIN_SECRET_LENGTH} characters: a shorter one cannot be masked in logs; give it in env if it is no secret`,
  );

const variableName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be letters, digits and underscores, not beginning with a digit")
  .refine((name) => !RESERVED.has(name), "is set by the platform")
  .refine((name) => name !== "__proto__", "is not a usable name");

/** The body of `POST /envs`. Every field is optional (domain/environment/spec.ts has the defaults); unknown fields are refused. */
export function createEnvironmentSchema({ maxTtl, maxCpus, maxMemoryMb }: CreateLimits) {
  const variables = (what: string, value = withoutNul.max(MAX_ENV_VALUE)) =>
    atMost(MAX_VARIABLES, what, z.record(variableName, value)).optional();

  const body = z.strictObject({
    name: z
      .string()
      .refine((name) => [...name].length <= MAX_NAME, `must be at most ${MAX_NAME} characters`)
      .optional(),
    ttl: z
      .int()
      .min(MIN_TTL, `must be at least ${MIN_TTL} seconds`)
      .max(maxTtl, `must be at most ${maxTtl} seconds (MAX_TTL)`)
      .optional(),
    image: z.string().min(1).max(255).optional(),
    port: z.int().min(1).max(65_535).optional(),
    health_path: z
      .string()
      .max(1024)
      .regex(/^\/[\x21-\x7e]*$/, 'must begin with "/" and hold printable ASCII without spaces')
      .optional(),
    command: atMost(MAX_ARGUMENTS, "arguments", z.array(withoutNul.max(8192)).min(1)).optional(),
    env: variables("variables"),
    secrets: variables("secrets", secretValue),
    egress: z.boolean().optional(),
    resources: z
      .strictObject({
        memory_mb: z
          .int()
          .min(16, "must be at least 16 MiB")
          .max(maxMemoryMb, `must be at most ${maxMemoryMb} MiB, this machine's memory`)
          .optional(),
        cpus: z
          .number()
          .min(0.05, "must be at least 0.05")
          .max(maxCpus, `must be at most ${maxCpus}, this machine's cores`)
          .optional(),
        pids: z.int().min(8).max(MAX_PIDS_EACH).optional(),
      })
      .optional(),
  });

  return body.superRefine(({ env = {}, secrets = {} }, { addIssue }) => {
    for (const name of Object.keys(secrets))
      if (Object.hasOwn(env, name))
        addIssue({ code: "custom", path: ["secrets", name], message: "is in env too: give it in one of them" });
    const tooMuch = tooMuchToMask(Object.values(secrets));
    if (tooMuch !== null) addIssue({ code: "custom", path: ["secrets"], message: tooMuch });
  });
}

/** Counts before it checks: a body with a hundred thousand entries gets one error, not one for each. */
function atMost<T extends z.ZodType>(count: number, what: string, schema: T) {
  const isFew = (value: unknown) => typeof value !== "object" || Object.keys(value ?? {}).length <= count;
  // `abort` keeps a value that is not of the schema from the checks of the whole body, too.
  return z
    .any()
    .refine(isFew, { error: `must hold at most ${count} ${what}`, abort: true })
    .pipe(schema);
}
