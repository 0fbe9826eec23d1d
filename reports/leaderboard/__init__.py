"""A leaderboard: results files side by side on one static page, no server and no request."""
