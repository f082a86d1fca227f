"use strict";
// What all pages share: the line on the run at work, tables that stay up to date, and buttons that start something.
(() => {
  const root = document.body.dataset.root;
  window.post = async (address, body) => {
    const headers = { "Content-Type": "application/json" };
    let ok = false, text = "The server does not answer.";
    try {
      const answer = await fetch(root + address, { method: "POST", headers, body: JSON.stringify(body), keepalive: true });
      ({ ok } = answer);
      text = await answer.text();
      return { ok, ...JSON.parse(text) };
    } catch { return { ok, error: text }; }
  };
  const run = document.getElementById("run"), progress = document.getElementById("progress");
  const say = (what) => { progress.textContent = what; };

  let seen = null;
  const take = (now) => {
    run.textContent = now.line ? `running: ${now.line}` : "";
    if (progress && now.line) say(`Running: ${now.line}`);
    else if (progress && seen?.line) say(now.last ? `Finished: ${now.last}` : "Finished.");
    if (seen && now.state !== seen.state) document.body.dispatchEvent(new CustomEvent("changed"));
    seen = now;
  };
  // One tab listens and tells the others: browsers keep six connections to a server, for all tabs together.
  const channel = new BroadcastChannel(`sessionscribe${root}`);
  let events = null;
  channel.addEventListener("message", ({ data }) => {
    if (data !== "asks") take(data);
    else if (events && seen) channel.postMessage(seen);
  });
  const listen = () => new Promise(() => {
    events = new EventSource(`${root}/events`);
    events.addEventListener("message", (event) => {
      take(JSON.parse(event.data));
      channel.postMessage(seen);
    });
  });
  addEventListener("pagehide", () => events?.close());
  channel.postMessage("asks");
  if (navigator.locks) navigator.locks.request(`sessionscribe${root}`, listen);
  else listen();

  // A table that is replaced keeps what is chosen and unfolded in it.
  let kept = [];
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    kept = [...event.detail.target.querySelectorAll("input:checked, details[open]")].map((one) => one.id);
  });
  document.body.addEventListener("htmx:afterSwap", () => {
    for (const one of kept.map((id) => document.getElementById(id)).filter(Boolean)) one.checked = one.open = true;
  });

  for (const button of document.querySelectorAll("[data-post]")) {
    button.addEventListener("click", async () => {
      const sessions = [...document.querySelectorAll("#waiting input:checked")].map((box) => box.value);
      if ("chosen" in button.dataset && !sessions.length) { say("Select sessions first."); return; }
      const answer = await post(button.dataset.post, "chosen" in button.dataset ? { sessions } : {});
      say(answer.error ?? (answer.started ? "Started." : "Stopping."));
    });
  }
})();
