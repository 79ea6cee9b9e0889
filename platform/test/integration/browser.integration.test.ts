import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { EnvironmentView } from "../../domain/environment/view.ts";
import { startBrowser } from "../support/browser.ts";
import { describePlatform, hostOf } from "../support/describe-platform.ts";
import { waitUntil } from "../support/wait-until.ts";

/** What a page tries, as JavaScript that ends with what it could read or "nothing"; and the request that reaches the API. */
type Attempt = [title: string, request: string, script: string];

const BODY = `'{"name":"made-by-a-page"}'`;
const fetched = (path: string, options: string) =>
  `fetch(api + ${path}, ${options}).then((answer) => answer.text(), () => "").then((text) => text || "nothing")`;
const posted = (path: string, options: string) => fetched(path, `{ method: "POST", mode: "no-cors", ${options} }`);
/** What is there to be seen once an element has loaded, or failed to. */
const element = (tag: string, attribute: string) => `new Promise((done) => {
  const element = document.createElement("${tag}");
  const look = () => { try { done(element.contentDocument?.body?.textContent || "nothing"); } catch { done("nothing"); } };
  element.onload = element.onerror = look;
  element.${attribute} = api + "/envs";
  document.body.append(element);
})`;
/**
 * A form whose only field reads as JSON where it is sent as plain text, to a window, or to a frame of its own: in one
 * that is still showing what was sent before, the browser may drop what is sent next.
 */
const form = (enctype: string, where: "window" | "frame") => `new Promise((done) => {
  const form = document.createElement("form");
  const frame = document.createElement("iframe");
  frame.name = "frame-" + document.querySelectorAll("iframe").length;
  const target = "${where}" === "frame" ? frame.name : "_blank";
  Object.assign(form, { method: "post", action: api + "/envs", enctype: "${enctype}", target });
  const field = document.createElement("input");
  Object.assign(field, { name: '{"name":"made-by-a-page","ignored":"', value: '"}' });
  form.append(field);
  document.body.append(form, frame);
  form.submit();
  done("nothing");
})`;
const stream = (create: string) => `new Promise((done) => {
  const stream = ${create};
  stream.onopen = stream.onmessage = () => done("it was opened");
  stream.onerror = () => { stream.close(); done("nothing"); };
})`;

const ATTEMPTS: Attempt[] = [
  ["asks for the environments", "GET /envs", fetched(`"/envs"`, "{}")],
  ["asks with credentials", "GET /envs", fetched(`"/envs"`, `{ credentials: "include" }`)],
  ["asks without wanting to read", "GET /envs", fetched(`"/envs"`, `{ mode: "no-cors" }`)],
  ["asks for one environment's logs", "GET /envs/:id/logs", fetched("`/envs/${id}/logs`", "{}")],
  ["sends JSON as plain text", "POST /envs", posted(`"/envs"`, `body: ${BODY}`)],
  ["sends it with credentials", "POST /envs", posted(`"/envs"`, `body: ${BODY}, credentials: "include"`)],
  ["sends it without any", "POST /envs", posted(`"/envs"`, `body: ${BODY}, credentials: "omit"`)],
  ["sends nothing at all", "POST /envs", posted(`"/envs"`, "")],
  ["ends every outage", "POST /halt", posted(`"/halt"`, "")],
  ["sends a beacon", "POST /halt", `navigator.sendBeacon(api + "/halt", ${BODY}) && "nothing"`],
  [
    "asks whether it may send JSON",
    "OPTIONS /envs",
    fetched(`"/envs"`, `{ method: "POST", headers: { "content-type": "application/json" }, body: ${BODY} }`),
  ],
  [
    "asks whether it may destroy an environment",
    "OPTIONS /envs/:id",
    fetched("`/envs/${id}`", `{ method: "DELETE", credentials: "include" }`),
  ],
  ["sends a form in a frame", "POST /envs", form("text/plain", "frame")],
  ["sends a form in a window", "POST /envs", form("text/plain", "window")],
  ["sends an encoded form", "POST /envs", form("application/x-www-form-urlencoded", "frame")],
  ["shows the environments as an image", "GET /envs", element("img", "src")],
  ["shows them in a frame", "GET /envs", element("iframe", "src")],
  ["runs them as a script", "GET /envs", element("script", "src")],
  ["listens to the events", "GET /events", stream(`new EventSource(api + "/events", { withCredentials: true })`)],
  ["opens a WebSocket", "GET /events", stream(`new WebSocket(api.replace("http:", "ws:") + "/events")`)],
];

describePlatform(
  "a page of an environment, in a real browser, that",
  {},
  (platform) => {
    let browser: Browser;
    let environment: EnvironmentView;
    let page: Page;

    beforeAll(async () => {
      browser = await startBrowser();
    });
    afterAll(() => browser?.close());
    beforeEach(async () => {
      environment = await platform.createDemo();
      page = await browser.newPage();
      const address = `http://${hostOf(environment.id)}:${platform.instance.nginxPort}/`;
      expect((await page.goto(address))?.status()).toBe(200);
      expect(await page.evaluate("location.origin + '/'")).toBe(address);
    });
    afterEach(() => page?.context().close());

    /** The API's addresses as pages may name them. */
    const addresses = () => {
      const { port } = new URL(platform.instance.apiUrl);
      return [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
    };

    const attempt = (api: string, script: string): Promise<unknown> => {
      const [place, id] = [api, environment.id].map((value) => JSON.stringify(value));
      return page.evaluate(`((api, id) => ${script})(${place}, ${id})`);
    };

    /** How the API has answered requests such as `GET /envs` so far, by its own log. */
    const answersTo = (request: string): number[] =>
      platform.instance
        .output()
        .split("\n")
        .filter((line) => line.includes('"msg":"request"'))
        .map((line) => JSON.parse(line) as { method: string; path: string; status: number })
        .filter(({ method, path }) => `${method} ${path}` === request)
        .map(({ status }) => status);

    test.each(ATTEMPTS)("%s, is refused by the API (%s)", async (_, request, script) => {
      const asked = request.replace(":id", environment.id);
      const before = await platform.api.show(environment.id);
      for (const api of addresses()) {
        const known = answersTo(asked).length;
        expect(await attempt(api, script)).toBe("nothing");
        await waitUntil("it to arrive", () => answersTo(asked).length > known);
        expect(new Set(answersTo(asked).slice(known))).toEqual(new Set([403]));
      }
      expect((await platform.api.list()).body).toMatchObject([{ id: environment.id, status: before.body.status }]);
    });

    test("opens the API in a window, which is a link followed, reads nothing of it", async () => {
      for (const api of addresses()) {
        const known = answersTo("GET /envs").length;
        const opened = page.context().waitForEvent("page");
        await attempt(api, `void (window.opened = window.open(api + "/envs"))`);
        await (await opened).waitForLoadState();
        await waitUntil("it to arrive", () => answersTo("GET /envs").length > known);
        expect(answersTo("GET /envs").slice(known)).toEqual([200]);
        const look = `(() => { try { return opened.document.body.textContent; } catch (error) { return error.name; } })()`;
        expect(await page.evaluate(look)).toMatch(/^(SecurityError|TypeError)$/);
      }
    });
  },
  ["process"],
);
