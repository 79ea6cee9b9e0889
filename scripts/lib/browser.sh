# shellcheck shell=bash
# The browser that one of the tests drives; the platform itself needs none, so make up does not install it.

stage_browser() {
  if [ -x /usr/bin/chromium ]; then
    note 'chromium is there'
  # Where it cannot be had that one test fails and says so, and all others are run.
  elif have apt-get && (apt_install chromium) && [ -x /usr/bin/chromium ]; then
    note 'chromium installed'
  else
    note 'no chromium: install it as /usr/bin/chromium for its test'
  fi
}
