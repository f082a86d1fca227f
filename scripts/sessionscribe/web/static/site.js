"use strict";
// What all pages share: the line on the run at work, and buttons that ask the server for something.
(() => {
  window.post = async (address, body) => {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    let found = {};
    try { found = JSON.parse(text); } catch { found = { error: text }; }
    return { ok: answer.ok, status: answer.status, ...found };
  };
  const run = document.getElementById("run"), progress = document.getElementById("progress");
  let state = null;
  const events = new EventSource("/events");
  events.addEventListener("message", (event) => {
    const now = JSON.parse(event.data);
    run.textContent = now.running ? `at work: ${now.line}` : "";
    if (progress && now.running) progress.textContent = `A run is at work: ${now.line}`;
    if (state !== null && now.state !== state) {
      document.body.dispatchEvent(new CustomEvent("changed"));
    }
    state = now.state;
  });
  addEventListener("pagehide", () => events.close());
  for (const button of document.querySelectorAll("[data-post]")) {
    button.addEventListener("click", async () => {
      const chosen = [...document.querySelectorAll("#waiting input:checked")].map((box) => box.value);
      const body = "chosen" in button.dataset ? { sessions: chosen } : JSON.parse(button.dataset.json);
      if ("chosen" in button.dataset && !chosen.length) {
        progress.textContent = "Choose sessions first.";
        return;
      }
      const answer = await post(button.dataset.post, body);
      progress.textContent = answer.error ?? (answer.started ? "A run was started." : answer.stopped ? "The run is asked to stop." : "No run is at work.");
    });
  }
})();
