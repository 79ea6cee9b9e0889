import request from "supertest";
import { createFakeApp, useFakePlatform, type FakePlatform } from "./fake-platform.ts";
import { createFakeTokens, PEOPLE } from "./fake-tokens.ts";

type App = ReturnType<typeof createFakeApp>;
/** The people whose tokens it knows. */
export type Name = "ann" | "bob" | "eve" | "root";

/** Gives every test of a file an API of its own that knows PEOPLE by their tokens, prepared by `use`, and ways to call it as one of them. */
export function useTokenApp(use: (platform: FakePlatform, app: App) => void) {
  let app: App;
  useFakePlatform((fresh) => {
    fresh.tokens = createFakeTokens(PEOPLE);
    app = createFakeApp(fresh);
    use(fresh, app);
  });
  const as = (name: Name) => request.agent(app).set("authorization", `Bearer t-${name}`);
  const createAs = async (name: Name, body: object = {}) => (await as(name).post("/envs").send(body)).body.id as string;
  return { as, createAs };
}
