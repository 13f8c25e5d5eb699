"""What makes a build resumable: the build folder, its rows, the choice of the best, what an earlier run left."""
