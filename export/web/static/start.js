// Before anything else, and without modules: can this page run here? If not, say what would help.

(() => {
  const notice = document.getElementById("notice");
  const tell = (text) => {
    notice.textContent = text;
    notice.hidden = false;
    document.body.classList.add("stopped");
  };
  window.stopWith = tell;

  if (location.protocol === "file:") {
    tell(
      "A browser does not let a page that was opened as a file load its network. Serve this folder instead: run " +
        "“python -m http.server” in it and open http://localhost:8000, or copy it to any web server.",
    );
  } else if (typeof WebAssembly !== "object" || typeof Worker !== "function") {
    tell("This browser has no WebAssembly (or it is switched off): a current Firefox, Chrome, Edge or Safari is wanted.");
  } else {
    import("./app.js").catch((error) => tell(`The page could not start: ${error.message}`));
  }
})();
