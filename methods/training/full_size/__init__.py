"""StyleRes and WarpRes at full size: what their training needs beside the methods themselves ("warpres" card 4)."""
